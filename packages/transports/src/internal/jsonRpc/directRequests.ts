/**
 * Engine of requests: one write and one callback per request, without a promise, timer or schema pass. `cancel` is how a request is cancelled
 * on the wire, together with `cancelRequest` of the transport.
 *
 * The SDK's client keeps the handshake and the requests of the server. Responses to requests of the engine are taken off the channel before
 * the client sees them: the ids of the two come from disjoint ranges.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { WireNotification } from "@mcp-sessions/core/Notification"
import {
  type CloseReason,
  type Reason,
  type RequestReason,
  TransportFailed,
  Unsupported
} from "@mcp-sessions/core/SessionError"
import type {
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  RequestId,
  Transport
} from "@modelcontextprotocol/client"
import * as Exit from "effect/Exit"
import type { EraCodec, Outcome } from "./eraCodec.ts"
import { idOf } from "./inboundReader.ts"
import { InFlightTable } from "./inFlightTable.ts"
import type { EndReason, Receiver, RequestSink } from "./requestSink.ts"
import { failureOf } from "./responseFailure.ts"

/** Requests of a server to the user, made on behalf of a call; the answer may take long. */
const userRequests = new Set(["sampling/createMessage", "elicitation/create"])

/** Requests on whose behalf a server asks the user. */
const askingRequests = new Set(["tools/call", "tasks/result", "prompts/get", "resources/read"])

/** The key of `_meta` that names the task of a message. */
const relatedTaskKey = "io.modelcontextprotocol/related-task"

/** Holds results against what their tools promise. */
export interface ResultChecks {
  /** Returns why a request must not be sent. */
  readonly before: (request: OutgoingRequest) => RequestReason | undefined
  /** Returns what is wrong with a result. */
  readonly after: (request: OutgoingRequest, result: unknown) => RequestReason | undefined
}

export interface DirectRequestsOptions {
  readonly transport: Transport & RequestSink
  readonly codec: EraCodec
  readonly checks: ResultChecks
  /** Receives the notifications of the server. Without it, and without `client`, they are dropped. */
  readonly onNotification: ((notification: WireNotification) => void) | undefined
  /** Receives the log messages of the server. */
  readonly onLogMessage: (notification: WireNotification) => void
  /** The SDK's client, where it answers requests of the server or keeps subscriptions. */
  readonly client: ((message: JSONRPCMessage) => void) | undefined
  /** Removes secrets from a reason. Every failure passes through it before a caller sees it. */
  readonly redact: <R extends Reason>(reason: R) => R
}

export class DirectRequests implements Receiver {
  readonly #options: DirectRequestsOptions
  readonly #table = new InFlightTable()
  /** Requests of the server to the user, each with the requests in flight of which one waits for the answer. */
  #asked: Map<RequestId, Set<OutgoingRequest>> | undefined

  constructor(options: DirectRequestsOptions) {
    this.#options = options
  }

  /** Sends a request, and settles it once. */
  send(request: OutgoingRequest): void {
    const { checks, codec, transport } = this.#options
    const refusal = checks.before(request)
    if (refusal !== undefined) return this.#refuse(request, refusal)
    const id = this.#table.add(request)
    if (id === undefined) return
    const { method } = request
    const params = codec.paramsOf(request)
    const message: JSONRPCRequest = params === undefined
      ? { jsonrpc: "2.0", id, method }
      : { jsonrpc: "2.0", id, method, params }
    const text = codec.encode(request, message)
    if (text !== undefined) return transport.sendRequest(request, text, message)
    this.fail(request, new Unsupported({ method, description: `the params of ${method} cannot be encoded as JSON` }))
  }

  /**
   * Gives up a request: it is never settled, and the server is told that the response is no longer wanted.
   *
   * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/cancellation
   */
  cancel(request: OutgoingRequest): void {
    if (!this.#table.remove(request)) return
    const { codec, transport } = this.#options
    codec.release?.(request)
    const isTold = transport.cancelRequest?.(request) === true
    this.#forget(request, true)
    if (isTold || !request.isWritten) return
    this.#notify({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: request.id as number, reason: "the caller no longer waits for the response" }
    })
  }

  /** Ends a request that the codec kept in flight. Does nothing if the request is not in flight. */
  settle(request: OutgoingRequest, outcome: Outcome): void {
    if (this.#table.remove(request)) this.#conclude(request, outcome)
  }

  fail(request: OutgoingRequest, reason: RequestReason): void {
    const { codec } = this.#options
    if (!this.#table.has(request) || codec.takesFailure?.(request, reason) === true) return
    this.#table.remove(request)
    codec.release?.(request)
    this.#forget(request, false)
    this.#refuse(
      request,
      // A byte of the request has left, whatever the failure says.
      request.isWritten && reason.delivery === "NotSent"
        ? new TransportFailed({ description: reason.message, delivery: "Unknown", cause: reason })
        : reason
    )
  }

  /** Ends all requests, each with the delivery that `isWritten` of it says. Returns why the channel ended. */
  failAll(end: EndReason): CloseReason {
    const { codec, redact } = this.#options
    for (const request of this.#table.all()) codec.release?.(request)
    this.#asked = undefined
    return this.#table.failAll((delivery) => redact(end(delivery)))
  }

  /** Returns the call that a request of the server belongs to: the one that arrived with it, or the only candidate in flight. */
  callOf(serverRequest: RequestId): OutgoingRequest | undefined {
    const calls = this.#asked?.get(serverRequest)
    return calls?.size === 1 ? calls.values().next().value : undefined
  }

  take(message: JSONRPCMessage, call?: OutgoingRequest): boolean {
    if ("method" in message) {
      return "id" in message
        ? this.#takeRequest(message, call)
        : this.#takeNotification(message, call)
    }
    const { id } = message
    if (!this.#table.owns(id)) return this.#options.client === undefined
    const request = this.#table.get(id)
    // The response to a cancelled request may still come; it is ignored.
    if (request === undefined) return true
    const { codec } = this.#options
    let outcome: Outcome | undefined
    if ("result" in message) outcome = codec.outcomeOf(request, message.result)
    else {
      outcome = Exit.fail(failureOf(message, request.method))
      if (codec.errorOf !== undefined) outcome = codec.errorOf(request, outcome)
    }
    if (outcome === undefined) return true
    // The codec may have ended it.
    if (this.#table.remove(request)) this.#conclude(request, outcome)
    return true
  }

  #conclude(request: OutgoingRequest, outcome: Outcome): void {
    this.#forget(request, false)
    if (Exit.isFailure(outcome)) return request.settle(Exit.mapError(outcome, this.#options.redact))
    const fault = this.#options.checks.after(request, outcome.value)
    if (fault === undefined) request.settle(outcome)
    else this.#refuse(request, fault)
  }

  #refuse(request: OutgoingRequest, reason: RequestReason): void {
    request.settle(Exit.fail(this.#options.redact(reason)))
  }

  /** Sends a message that has no response. Where that fails the channel is failing, and ends by itself. */
  #notify(message: JSONRPCMessage): void {
    const { transport } = this.#options
    transport.send(message).catch((error: unknown) =>
      transport.onerror?.(error instanceof Error ? error : new Error(String(error)))
    )
  }

  #takeRequest(message: JSONRPCRequest, call: OutgoingRequest | undefined): boolean {
    const { client } = this.#options
    const { id, method } = message
    if (client !== undefined) {
      if (call !== undefined || userRequests.has(method)) {
        const calls = call === undefined ? this.#mayAsk(message) : [call]
        if (calls.length > 0) (this.#asked ??= new Map()).set(id, new Set(calls))
      }
      return false
    }
    if (typeof id !== "string" && typeof id !== "number") return true
    this.#notify(
      method === "ping"
        ? { jsonrpc: "2.0", id, result: {} }
        : { jsonrpc: "2.0", id, error: { code: -32601, message: "Method not found" } }
    )
    return true
  }

  /** The requests in flight that may be why a server asks. A question that names its task comes from the request for the result of that task. */
  #mayAsk({ params }: JSONRPCRequest): ReadonlyArray<OutgoingRequest> {
    const asking = this.#table.all().filter(({ method }) => askingRequests.has(method))
    const { taskId } = (params?._meta?.[relatedTaskKey] ?? {}) as { readonly taskId?: unknown }
    const ofTask = asking.filter(({ method, params }) => method === "tasks/result" && params?.taskId === taskId)
    return ofTask.length === 0 ? asking : ofTask
  }

  #takeNotification({ method, params }: JSONRPCNotification, call: OutgoingRequest | undefined): boolean {
    if (method === "notifications/progress") {
      const token = idOf(params?.progressToken)
      if (this.#table.owns(token)) {
        if (params !== undefined) this.#progress(token, params)
        return true
      }
    }
    const { client, onLogMessage, onNotification } = this.#options
    if (method === "notifications/message") {
      onLogMessage({ method, params, ...(call?.id === undefined ? {} : { call: call.id }) })
      return true
    }
    if (onNotification === undefined) return client === undefined
    // The server gives up a request of its own, which the client is answering.
    if (method === "notifications/cancelled" && client !== undefined) return false
    if (typeof method === "string") onNotification({ method, params })
    return true
  }

  /** Passes progress on. Ignores progress of requests that have ended, and progress without a number. */
  #progress(token: number, params: NonNullable<JSONRPCNotification["params"]>): void {
    const { message, progress, total } = params
    if (typeof progress !== "number") return
    this.#table.get(token)?.onProgress?.({
      progress,
      ...(typeof total === "number" ? { total } : {}),
      ...(typeof message === "string" ? { message } : {})
    })
  }

  /**
   * Withdraws what a server asked the user on behalf of a request that has ended, if no other request waits for it and the request was
   * cancelled. Servers rarely withdraw it themselves.
   */
  #forget(request: OutgoingRequest, isCancelled: boolean): void {
    if (this.#asked === undefined) return
    for (const [id, calls] of this.#asked) {
      if (!calls.delete(request) || calls.size > 0) continue
      this.#asked.delete(id)
      if (isCancelled) {
        this.#options.client?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } })
        // If it was asked for another reason after all, the server need not wait until its own deadline.
        const message = "the call that this was asked for was cancelled"
        this.#notify({ jsonrpc: "2.0", id, error: { code: -32000, message } })
      }
    }
    if (this.#asked.size === 0) this.#asked = undefined
  }
}
