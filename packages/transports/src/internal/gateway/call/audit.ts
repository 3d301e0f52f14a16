/**
 * Audit: a record of each use of a server by a client, and of requests whose tokens are not accepted. It holds no arguments, results and tokens,
 * and no text of a server.
 */
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import { textOrEmpty } from "../../textOrEmpty.ts"
import type { RefusalReason } from "../admission/challenges.ts"
import type { ClientCall } from "../client/clientCall.ts"
import type { ClientSession } from "../client/clientSession.ts"
import type { RpcError } from "../protocol/rpc.ts"
import { deliveryOf } from "./delivery.ts"

/**
 * Record of one request of a client, once it has ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface UseRecord {
  readonly _tag: "Used"
  /**
   * The principal of the client: the name of its token; for an access token, the issuer, a space and the claim that names the principal; or
   * `anonymous`.
   */
  readonly principal: string
  /** Tells clients of a principal apart. It is not the session id, and of no use to anyone. */
  readonly client: string
  /** The JSON-RPC method: `tools/call`, `resources/read`, `resources/subscribe` or `prompts/get`. */
  readonly method: string
  /** The name of the tool or prompt, or the URI of the resource, as the client gave it: at most 256 characters. */
  readonly name: string
  /** The server that handled it; `undefined` if there was none. */
  readonly server: string | undefined
  /** How it ended. `ToolError` is a result with `isError: true`. */
  readonly outcome: "Succeeded" | "ToolError" | "Failed" | "Cancelled"
  /** The code of the JSON-RPC error. Only if it failed. */
  readonly code: number | undefined
  /** The reason of a failure without a response of the server, such as `OutcomeUnknown`. */
  readonly reason: string | undefined
  /** The delivery: `NotSent`, `Rejected`, `Unknown` (the call may have run) or `Answered`. */
  readonly delivery: string
  /** How long it took, in milliseconds. */
  readonly duration: number
}

/**
 * Record of a request whose token the gateway did not accept. There are 10 records at once and 1 in a second at most. A request without a token
 * has none.
 *
 * @category models
 * @since 0.1.0
 */
export interface RefusalRecord {
  readonly _tag: "Refused"
  /** Why, such as `Expired` or `WrongAudience`. */
  readonly reason: RefusalReason
  /** The address at the other end of the connection: that of the client, or of a proxy. */
  readonly address: string
  /** The number of refusals without a record since the previous record. */
  readonly skipped: number
}

/**
 * Record of what clients do.
 *
 * @category models
 * @since 0.1.0
 */
export type AuditRecord = UseRecord | RefusalRecord

/** Receives the records. */
export type Audit = (record: AuditRecord) => Effect.Effect<void>

/** Takes a record. It is called for each use, so it is no effect. */
export type Recorder = (record: AuditRecord) => void

/** The parameter that names what is used, by method. */
const nameOf: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["resources/subscribe", "uri"]
])

const nameLimit = 256

const isToolError = (value: unknown): boolean =>
  Predicate.isObject(value) && "isError" in value && value.isError === true

/** Makes the record of a request; `undefined` for a method that is not recorded. */
export const recordOf = ({ call, client, duration, exit, method, params }: {
  readonly client: ClientSession
  readonly call: ClientCall
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
  readonly exit: Exit.Exit<unknown, RpcError>
  readonly duration: number
}): UseRecord | undefined => {
  const key = nameOf.get(method)
  if (key === undefined) return undefined
  const failure = Exit.findErrorOption(exit)
  const error = failure._tag === "Some" ? failure.value : undefined
  const data = Predicate.isObject(error?.data) ? error.data as Record<string, unknown> : {}
  const outcome = Exit.isSuccess(exit)
    ? isToolError(exit.value) ? "ToolError" : "Succeeded"
    : Cause.hasInterruptsOnly(exit.cause)
    ? "Cancelled"
    : "Failed"
  // An error of the gateway itself has both. Any other comes from the server, if one was asked.
  const isOwn = Predicate.isString(data.reason) && Predicate.isString(data.delivery)
  return {
    _tag: "Used",
    principal: client.principal,
    client: client.name.slice(0, 8),
    method,
    name: textOrEmpty(params[key]).slice(0, nameLimit),
    server: call.server,
    outcome,
    code: error?.code,
    reason: isOwn ? data.reason as string : undefined,
    delivery: outcome === "Cancelled"
      ? deliveryOf(call)
      : isOwn
      ? data.delivery as string
      : outcome === "Failed" && call.server === undefined
      ? "NotSent"
      : "Answered",
    duration: Math.round(duration)
  }
}
