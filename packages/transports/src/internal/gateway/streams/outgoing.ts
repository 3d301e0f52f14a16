/**
 * Outgoing messages: what the gateway sends to one client. Whatever drops a request ends it, so that its server does not wait for an answer that
 * cannot come.
 */
import * as Predicate from "effect/Predicate"

/** A request to a client. */
export interface OutgoingRequest {
  readonly text: string
  /** Whether it waits for its answer. */
  readonly isOpen: () => boolean
  /** Ends it with an error, if it waits for its answer. */
  readonly lose: () => void
}

/** A message as it is sent: a text that nothing waits for, or a request. */
export type Outgoing = string | OutgoingRequest

/** Whether a message is a request. */
export const isRequest = (message: Outgoing): message is OutgoingRequest => !Predicate.isString(message)

/** The text of a message. */
export const textOf = (message: Outgoing): string => isRequest(message) ? message.text : message

/** Ends what waits for the answer to a message that is dropped. */
export const lose = (message: Outgoing): void => {
  if (isRequest(message)) message.lose()
}
