/**
 * Classifies how a request over HTTP failed without a status: as a reason of a request on an initialized connection, or as an error of
 * the handshake. What a refusal means, `refusal.ts` says.
 */
import { HandshakeFailed, InvalidResult, type RequestReason, ResponseLost } from "@mcp-sessions/core/SessionError"
import { classifyNetwork } from "../network/networkFailure.ts"
import { withExcerpt } from "./excerpt.ts"
import type { Refusal } from "./httpExchange.ts"

/** How a request ended without a response. */
export type Failure =
  | Refusal
  /** A body that is neither JSON-RPC nor an event stream, and its beginning. */
  | { readonly _tag: "Unreadable"; readonly body: string }
  /** The response stream ended, and could not be resumed. */
  | { readonly _tag: "Lost" }
  /** The network failed before a response stream began. */
  | { readonly _tag: "Broken"; readonly error: unknown }

/** A failed request. */
interface FailedRequest {
  readonly failure: Exclude<Failure, Refusal>
  readonly method: string
  readonly origin: string
  /** Removes secrets from text of the server. */
  readonly redact: (text: string) => string
}

const unreadable = (body: string, { method, redact }: FailedRequest): string =>
  withExcerpt({ description: `the response to ${method} is neither JSON-RPC nor an event stream`, body, redact })

/** Says what the failure of a request on an initialized connection means. */
export const requestReasonOf = (request: FailedRequest): RequestReason => {
  const { failure, method, origin } = request
  switch (failure._tag) {
    case "Unreadable":
      return new InvalidResult({ method, description: unreadable(failure.body, request) })
    case "Lost":
      return new ResponseLost({ method })
    case "Broken":
      return classifyNetwork({ error: failure.error, address: origin, delivery: "Unknown" })
  }
}

/** Says what the failure of a request of the handshake means. A refusal is judged by `sdk/eraProbe.ts` and `sdk/eraMachine.ts`. */
export const handshakeErrorOf = (request: FailedRequest): Error => {
  const { failure, method, origin } = request
  switch (failure._tag) {
    case "Unreadable":
      return new HandshakeFailed({ description: unreadable(failure.body, request) })
    case "Lost":
      return new ResponseLost({ method })
    case "Broken":
      return classifyNetwork({ error: failure.error, address: origin, delivery: "NotSent" })
  }
}
