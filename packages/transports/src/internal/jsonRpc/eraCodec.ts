/**
 * How an era encodes a request and decodes its response. The engine knows nothing else of eras.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { InvalidResult, type RequestReason } from "@mcp-sessions/core/SessionError"
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import { tryEncode } from "./codec.ts"

export type Outcome = Exit.Exit<unknown, RequestReason>

export interface EraCodec {
  /** Returns the params to send. `request.id` is set, and is the progress token of a request that wants progress. */
  readonly paramsOf: (request: OutgoingRequest) => Record<string, unknown> | undefined
  /** Returns the JSON of the message of a request; `undefined` if it has none. `message.params` are those of `paramsOf`. */
  readonly encode: (request: OutgoingRequest, message: JSONRPCRequest) => string | undefined
  /**
   * Returns what a request ends with after a response with this `result`; `undefined` keeps the request in flight, and the codec ends it
   * later with `settle` of the engine.
   */
  readonly outcomeOf: (request: OutgoingRequest, result: unknown) => Outcome | undefined
  /** Returns what a request ends with after a JSON-RPC error, in place of `ProtocolFailed`; `undefined` as above. */
  readonly errorOf?: ((request: OutgoingRequest, failed: Outcome) => Outcome | undefined) | undefined
  /**
   * Takes over a request that failed without a response. `true` keeps it in flight, and the codec ends it later with `settle` of the
   * engine.
   */
  readonly takesFailure?: ((request: OutgoingRequest, reason: RequestReason) => boolean) | undefined
  /** Releases what the codec holds for a request that was cancelled or failed. */
  readonly release?: ((request: OutgoingRequest) => void) | undefined
}

const metaOf = (params: Record<string, unknown> | undefined): object | undefined =>
  Predicate.isObject(params?._meta) ? params._meta : undefined

/** Adds the progress token to params, for a request that wants progress. */
const withProgressToken = ({ id, onProgress, params }: OutgoingRequest): Record<string, unknown> | undefined =>
  onProgress === undefined ? params : { ...params, _meta: { ...metaOf(params), progressToken: id } }

/** Methods whose results are empty. Some servers send `null` or an empty list for them. */
const emptyResults = new Set(["logging/setLevel", "ping", "resources/subscribe", "resources/unsubscribe"])

/** Returns a result, which must be an object. */
const resultOf = ({ method }: OutgoingRequest, result: unknown): Outcome => {
  if (Predicate.isObject(result) || emptyResults.has(method)) return Exit.succeed(result)
  return Exit.fail(new InvalidResult({ method, description: `the result of ${method} is not an object` }))
}

/** The codec of the revisions up to 2025-11-25. */
export const legacyCodec: EraCodec = {
  paramsOf: withProgressToken,
  encode: (_, message) => tryEncode(message),
  outcomeOf: resultOf
}
