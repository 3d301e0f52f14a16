/**
 * Sends one message that has no response over HTTP: a notification, or a response to a request of the server.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import type { HttpEndpoint } from "./httpEndpoint.ts"
import { Exchange, type Refusal, type Wire } from "./httpExchange.ts"

/** How sending a message failed. */
export type NotificationFailure = Refusal | { readonly _tag: "Broken"; readonly error: unknown }

export interface NotificationExchange {
  readonly abort: () => void
}

/** Posts a message. `onEnd` is called once the server has accepted it, with `undefined`, or with the failure. */
export const postNotification = (options: {
  readonly wire: Wire
  readonly endpoint: HttpEndpoint
  readonly headers: Array<string>
  readonly text: string
  /** Receives what a server says here though nothing was asked. */
  readonly onMessage: (message: JSONRPCMessage) => void
  readonly onEnd: (failure: NotificationFailure | undefined) => void
}): NotificationExchange => {
  const { endpoint, headers, onEnd, onMessage, text, wire } = options
  let current: Exchange | undefined
  const post = (redirects: number): void => {
    current = new Exchange(wire, {
      onMessage,
      onEnd: (end) => {
        if (end._tag === "Refused" && endpoint.follow(end, redirects)) return post(redirects + 1)
        // The status has accepted the message. The body is nobody's.
        onEnd(end._tag === "Refused" || end._tag === "Broken" ? end : undefined)
      }
    }).start({ target: endpoint.target, method: "POST", headers, body: text })
  }
  post(0)
  return { abort: () => current?.abort() }
}
