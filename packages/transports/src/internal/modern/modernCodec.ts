/**
 * Encodes requests of 2026-07-28 and decodes their results.
 *
 * Two results keep a request in flight: a server that asks for input gets it before the request goes on, and a server that misses
 * headers of a tool gets them once the tools have been listed.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { Implementation } from "@mcp-sessions/core/Mcp"
import type { LogLevel } from "@mcp-sessions/core/Notification"
import type { Reason, RequestReason } from "@mcp-sessions/core/SessionError"
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import { tryEncode } from "../jsonRpc/codec.ts"
import type { EraCodec, Outcome } from "../jsonRpc/eraCodec.ts"
import { EraCheck, isDoubtful } from "./eraCheck.ts"
import { makeRequestMeta, type RequestMeta, withRequestMeta } from "./requestMeta.ts"
import { decodeResult } from "./result.ts"
import { readTaskError } from "./taskError.ts"
import type { ToolHeaders } from "./toolHeaders.ts"

/** JSON-RPC error of a server that misses headers, or finds others than the body calls for. */
const headerMismatch = -32_020

/** How many pages of tools are listed before a call is sent again. */
const pageLimit = 100

/** The engine, as far as a codec uses it. */
interface Engine {
  readonly send: (request: OutgoingRequest) => void
  readonly cancel: (request: OutgoingRequest) => void
  readonly settle: (request: OutgoingRequest, outcome: Outcome) => void
}

/** Answers a result that asks for input, and follows the request to its end. Returns the cancellation. */
export type FulfilInput = (options: {
  readonly request: OutgoingRequest
  readonly params: Record<string, unknown>
  readonly result: Record<string, unknown>
  readonly onEnd: (outcome: Outcome) => void
}) => () => void

export interface ModernCodecOptions {
  readonly protocolVersion: string
  readonly clientInfo: Implementation
  readonly clientCapabilities: object
  /** Where the transport mirrors arguments of tool calls in headers. */
  readonly toolHeaders: ToolHeaders | undefined
  readonly engine: () => Engine
  readonly fulfilInput: FulfilInput
  /** Removes secrets from a reason. */
  readonly redact: <R extends Reason>(reason: R) => R
}

export class ModernCodec implements EraCodec {
  readonly #options: ModernCodecOptions
  #meta: RequestMeta
  /** The end of each request that adds nothing to `#meta`. */
  #metaText: string
  /** Cancellations of requests that the codec keeps in flight. */
  #held: Map<OutgoingRequest, () => void> | undefined
  #eraCheck: EraCheck | undefined
  /** Calls that were sent again, once is enough. */
  #repeated: WeakSet<OutgoingRequest> | undefined

  constructor(options: ModernCodecOptions) {
    this.#options = options
    this.#meta = makeRequestMeta({ ...options, logLevel: undefined })
    this.#metaText = metaTextOf(this.#meta)
  }

  /**
   * Sets the lowest level of the log messages that requests ask for from now on.
   *
   * @see https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/logging
   */
  setLogLevel(logLevel: LogLevel): void {
    this.#meta = makeRequestMeta({ ...this.#options, logLevel })
    this.#metaText = metaTextOf(this.#meta)
  }

  paramsOf({ id, onProgress, params }: OutgoingRequest): Record<string, unknown> {
    return withRequestMeta({ params, meta: this.#meta, progressToken: onProgress === undefined ? undefined : id })
  }

  /** The shared `_meta` is three times as long as a small call. It is encoded once, and appended to the params. */
  encode({ params = {} }: OutgoingRequest, message: JSONRPCRequest): string | undefined {
    if (message.params?._meta !== this.#meta || params._meta !== undefined) return tryEncode(message)
    const own = tryEncode(params)
    // Params with a `toJSON` may encode to anything.
    if (own?.startsWith("{") !== true) return tryEncode(message)
    const { id, method } = message
    const start = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":`
    return own === "{}" ? `${start}{${this.#metaText}` : `${start}${own.slice(0, -1)},${this.#metaText}`
  }

  outcomeOf(request: OutgoingRequest, value: unknown): Outcome | undefined {
    const { method, params } = request
    const decoded = decodeResult({ method, params, result: value })
    switch (decoded._tag) {
      case "Invalid":
        return Exit.fail(decoded.reason)
      case "InputRequired":
        this.#hold(
          request,
          this.#options.fulfilInput({
            request,
            params: withRequestMeta({ params, meta: this.#meta, progressToken: undefined }),
            result: decoded.result,
            onEnd: (outcome) => this.#end(request, outcome)
          })
        )
        return undefined
      case "Complete": {
        const { result } = decoded
        const { redact, toolHeaders } = this.#options
        if (method === "tasks/get") return Exit.succeed(readTaskError(result, redact))
        return Exit.succeed(
          method === "tools/list" && toolHeaders !== undefined
            ? toolHeaders.learn({ page: result, isFirst: params?.cursor === undefined })
            : result
        )
      }
    }
  }

  errorOf(request: OutgoingRequest, failed: Outcome): Outcome | undefined {
    if (this.#options.toolHeaders === undefined) return failed
    const reason = reasonOf(failed)
    if (reason !== undefined && this.takesFailure(request, reason)) return undefined
    if (request.method !== "tools/call" || !isHeaderMismatch(reason) || this.#repeated?.has(request) === true) {
      return failed
    }
    this.#repeat(request, failed)
    return undefined
  }

  takesFailure(request: OutgoingRequest, reason: RequestReason): boolean {
    // Other transports cannot reach another server without a new connection.
    if (this.#options.toolHeaders === undefined || !isDoubtful(reason)) return false
    const check = this.#eraCheck ??= new EraCheck((question) => this.#options.engine().send(question))
    if (check.isQuestion(request)) return false
    this.#hold(request, check.ask(reason, (reason) => this.#end(request, Exit.fail(reason))))
    return true
  }

  release(request: OutgoingRequest): void {
    this.#held?.get(request)?.()
    this.#held?.delete(request)
  }

  #hold(request: OutgoingRequest, cancel: () => void): void {
    ;(this.#held ??= new Map()).set(request, cancel)
  }

  #end(request: OutgoingRequest, outcome: Outcome): void {
    this.#held?.delete(request)
    this.#options.engine().settle(request, outcome)
  }

  /** Lists the tools, and sends a call again with the headers that they declare. The server refused it, so it has not run. */
  #repeat(request: OutgoingRequest, failed: Outcome): void {
    const { method, onProgress, params } = request
    const again = outgoing(method, params, onProgress, (outcome) => this.#end(request, outcome))
    ;(this.#repeated ??= new WeakSet()).add(again)
    const list = (cursor: string | undefined, pages: number): void => {
      const page = outgoing("tools/list", cursor === undefined ? {} : { cursor }, undefined, (outcome) => {
        if (Exit.isFailure(outcome)) return this.#end(request, failed)
        const next = Predicate.isObject(outcome.value) && "nextCursor" in outcome.value
          ? outcome.value.nextCursor
          : undefined
        if (typeof next === "string" && next !== cursor && pages < pageLimit) return list(next, pages + 1)
        this.#hold(request, () => this.#options.engine().cancel(again))
        this.#options.engine().send(again)
      })
      this.#hold(request, () => this.#options.engine().cancel(page))
      this.#options.engine().send(page)
    }
    list(undefined, 1)
  }
}

const metaTextOf = (meta: RequestMeta): string => `"_meta":${JSON.stringify(meta)}}}`

const outgoing = (
  method: string,
  params: OutgoingRequest["params"],
  onProgress: OutgoingRequest["onProgress"],
  settle: OutgoingRequest["settle"]
): OutgoingRequest => ({ method, params, onProgress, id: undefined, isWritten: false, settle })

const reasonOf = (outcome: Outcome): RequestReason | undefined => {
  const failure = Exit.isFailure(outcome) ? Exit.findErrorOption(outcome) : undefined
  return failure?._tag === "Some" ? failure.value : undefined
}

const isHeaderMismatch = (reason: RequestReason | undefined): boolean =>
  reason?._tag === "ProtocolFailed" && reason.code === headerMismatch
