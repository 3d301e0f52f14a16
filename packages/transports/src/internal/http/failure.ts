/**
 * Classifies how a request over HTTP failed: as a reason of a request on an initialized connection, or as an error of the handshake.
 */
import {
  HandshakeFailed,
  InvalidResult,
  ProtocolFailed,
  type RequestReason,
  ResponseLost,
  SessionExpired
} from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"
import { isMessage } from "../jsonRpc/codec.ts"
import { classifyNetwork } from "../network/networkFailure.ts"
import { requestReasonOfStatus } from "../network/status.ts"
import type { Refusal } from "./httpExchange.ts"

/** How a request ended without a response. */
export type Failure =
  | Refusal
  /** A body that is neither JSON-RPC nor an event stream. */
  | { readonly _tag: "Unreadable"; readonly cause: unknown }
  /** The response stream ended, and could not be resumed. */
  | { readonly _tag: "Lost" }
  /** The network failed before a response stream began. */
  | { readonly _tag: "Broken"; readonly error: unknown }

const parsed = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** Whether a refusal is a JSON-RPC error that belongs to no request. Servers answer so for sessions that they do not know. */
const isOrphanError = (body: string): boolean => {
  const value = parsed(body)
  return Predicate.isObject(value) && "error" in value && (!("id" in value) || value.id === null)
}

/**
 * The JSON-RPC error with which a server of the modern era refuses a request of the legacy era, whatever its id.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
 */
const revisionRefusalOf = (body: string, method: string): ProtocolFailed | undefined => {
  const value = parsed(body)
  const error = Predicate.isObject(value) && "error" in value ? value.error : undefined
  if (!Predicate.isObject(error) || !("code" in error) || error.code !== -32_022) return undefined
  const { code, data, message } = error as {
    readonly code: number
    readonly data?: unknown
    readonly message?: unknown
  }
  const description = typeof message === "string" ? message : "the server gave no message"
  const reason = new ProtocolFailed({ method, code, description, data })
  return reason.losesConnection ? reason : undefined
}

/** Statuses that HTTP itself gives a meaning, whatever the body says. */
const isOfHttp = (status: number): boolean => status === 401 || status === 403 || status === 408 || status === 429

/**
 * Returns the JSON-RPC error that a refusal carries for the request with this id. Servers of 2026-07-28 send JSON-RPC errors with
 * statuses of their own.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
 */
export const errorResponseOf = (options: {
  readonly refusal: Refusal
  readonly id: string | number
}): JSONRPCMessage | undefined => {
  const { id, refusal: { body, status } } = options
  if (status < 400 || status >= 500 || isOfHttp(status)) return undefined
  const value = parsed(body)
  return isMessage(value) && "error" in value && value.id === id ? value : undefined
}

/** Says what the failure of a request on an initialized connection means. */
export const requestReasonOf = (options: {
  readonly failure: Failure
  readonly method: string
  readonly origin: string
  readonly hasSession: boolean
}): RequestReason => {
  const { failure, hasSession, method, origin } = options
  switch (failure._tag) {
    case "Refused": {
      const { body, retryAfter, status } = failure
      const refusal = status === 400 ? revisionRefusalOf(body, method) : undefined
      if (refusal !== undefined) return refusal
      return hasSession && status === 400 && isOrphanError(body)
        ? new SessionExpired({ status })
        : requestReasonOfStatus({ status, retryAfter, hasSession })
    }
    case "Unreadable": {
      const description = `the response to ${method} is neither JSON-RPC nor an event stream`
      return new InvalidResult({ method, description, cause: failure.cause })
    }
    case "Lost":
      return new ResponseLost({ method })
    case "Broken":
      return classifyNetwork({ error: failure.error, address: origin, delivery: "Unknown" })
  }
}

/** Says what the failure of a request of the handshake means. A refusal is the SDK's to judge: it picks the era by it. */
export const handshakeErrorOf = (options: {
  readonly failure: Exclude<Failure, Refusal>
  readonly method: string
  readonly origin: string
}): Error => {
  const { failure, method, origin } = options
  switch (failure._tag) {
    case "Unreadable": {
      const description = `the response to ${method} is neither JSON-RPC nor an event stream`
      return new HandshakeFailed({ description, cause: failure.cause })
    }
    case "Lost":
      return new ResponseLost({ method })
    case "Broken":
      return classifyNetwork({ error: failure.error, address: origin, delivery: "NotSent" })
  }
}
