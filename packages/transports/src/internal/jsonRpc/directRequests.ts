/**
 * Requests of the legacy era, sent past the SDK's client: no promise, timer or schema pass per call.
 *
 * The client keeps the handshake, notifications and requests of the server. Answers to what is sent from here are taken
 * off the channel before the client sees them; the two tell their requests apart by disjoint ranges of ids.
 */
import type { Connection } from "@mcp-sessions/core/Connection"
import type { Progress } from "@mcp-sessions/core/Mcp"
import { InvalidResult, ProtocolFailed, Reason } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, JSONRPCNotification, RequestId, Transport } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { sent } from "./codec.ts"
import { PendingTable } from "./pendingTable.ts"

/** The client counts its own few requests from 0. Small enough for servers that keep ids in 32 bits. */
const firstId = 1_000_000

interface Pending {
  readonly method: string
  readonly resume: (exit: Exit.Exit<unknown, Reason>) => void
  readonly onProgress: ((progress: Progress) => void) | undefined
}

/** What a server asks on behalf of a call, and a user may take long to answer. */
const ofUser = new Set(["sampling/createMessage", "elicitation/create"])

/** The requests of ours on whose behalf it asks. */
const asking = new Set(["tools/call", "tasks/result", "prompts/get", "resources/read"])

const isReason = Schema.is(Reason)

const metaOf = (params: Record<string, unknown> | undefined): object | undefined =>
  Predicate.isObject(params?._meta) ? params._meta : undefined

/** What an answer says. Peers send all sorts of things, so nothing of its shape is taken for granted. */
const exitOf = (answer: object, method: string): Exit.Exit<unknown, Reason> => {
  if ("result" in answer && answer.result !== undefined) return Exit.succeed(answer.result)
  const error = "error" in answer ? answer.error : undefined
  if (typeof error !== "object" || error === null) {
    return Exit.fail(new InvalidResult({ method, description: `the answer to ${method} has neither result nor error` }))
  }
  const { code, data, message } = error as Record<string, unknown>
  // A loss that the transport noticed comes in the shape of an answer. Off the wire nothing is ever an instance.
  return Exit.fail(
    isReason(data) ? data : new ProtocolFailed({
      method,
      code: typeof code === "number" && Number.isFinite(code) ? code : 0,
      description: typeof message === "string" ? message : "the server gave no message",
      data
    })
  )
}

export class DirectRequests {
  readonly #transport: Transport
  readonly #reasonOf: (error: unknown, method: string) => Reason
  readonly #pending = new PendingTable<Pending>()
  /** What the server asked of our user while requests were under way, and those: one of them waits for the answer. */
  readonly #asked = new Map<RequestId, Set<number>>()
  readonly #toClient: Transport["onmessage"]
  #nextId = firstId

  constructor(transport: Transport, reasonOf: (error: unknown, method: string) => Reason) {
    this.#transport = transport
    this.#reasonOf = reasonOf
    const toClient = this.#toClient = transport.onmessage?.bind(transport)
    transport.onmessage = (message, extra) => {
      if (!this.#take(message)) toClient?.(message, extra)
    }
  }

  request(
    { method, onProgress, onSent, params: given }: Parameters<Connection["request"]>[0]
  ): Effect.Effect<unknown, Reason> {
    return Effect.callback((resume) => {
      const id = this.#nextId++
      const params = onProgress === undefined ? given : { ...given, _meta: { ...metaOf(given), progressToken: id } }
      this.#pending.set(id, { method, resume, onProgress })
      onSent?.(id)
      const sending = this.#transport.send(
        params === undefined ? { jsonrpc: "2.0", id, method } : { jsonrpc: "2.0", id, method, params }
      )
      if (sending !== sent) {
        sending.catch((error: unknown) => {
          if (!this.#pending.delete(id)) return
          this.#settleAsked(id, false)
          resume(Exit.fail(this.#reasonOf(error, method)))
        })
      }
      return Effect.sync(() => this.#cancel(id))
    })
  }

  /** Fails all that is under way. */
  fail(reasonOf: () => Reason): void {
    const pending = this.#pending.entries().map(([, waiting]) => waiting)
    this.#pending.clear()
    for (const { resume } of pending) resume(Exit.fail(reasonOf()))
  }

  /**
   * Tells the server that nobody waits any more.
   *
   * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/cancellation
   */
  #cancel(id: number): void {
    if (!this.#pending.delete(id)) return
    this.#settleAsked(id, true)
    this.#send({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: id, reason: "nobody waits for the answer any more" }
    })
  }

  /** Sends what nobody waits for. Where that fails the channel is failing, and says so by itself. */
  #send(message: JSONRPCMessage): void {
    this.#transport.send(message).catch((error: unknown) =>
      this.#transport.onerror?.(error instanceof Error ? error : new Error(String(error)))
    )
  }

  #take(message: JSONRPCMessage): boolean {
    if ("method" in message) {
      if (!("id" in message)) return this.#takeProgress(message)
      if (ofUser.has(message.method)) {
        const waiting = this.#pending.entries().filter(([, { method }]) => asking.has(method)).map(([id]) => id)
        if (waiting.length > 0) this.#asked.set(message.id, new Set(waiting))
      }
      return false
    }
    if (typeof message.id !== "number" || message.id < firstId) {
      return false
    }
    const pending = this.#pending.get(message.id)
    // The answer to a cancelled request may still come; it is for nobody.
    if (pending === undefined) return true
    this.#pending.delete(message.id)
    this.#settleAsked(message.id, false)
    pending.resume(exitOf(message, pending.method))
    return true
  }

  /**
   * A request has ended. What only it can have waited for need not be answered any more if it was cancelled; servers rarely
   * say so themselves.
   */
  #settleAsked(id: number, isCancelled: boolean): void {
    for (const [asked, waiting] of this.#asked) {
      if (!waiting.delete(id) || waiting.size > 0) continue
      this.#asked.delete(asked)
      if (isCancelled) {
        this.#toClient?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: asked } })
        // Should it have been for something else after all, the server need not wait for it until it gives up.
        const message = "the call that this was asked for was cancelled"
        this.#send({ jsonrpc: "2.0", id: asked, error: { code: -32000, message } })
      }
    }
  }

  #takeProgress({ method, params }: JSONRPCNotification): boolean {
    const token = method === "notifications/progress" ? params?.progressToken : undefined
    if (typeof token !== "number" || token < firstId) return false
    // A report on what has ended is for nobody, and one without a number reports nothing.
    if (typeof params?.progress === "number") {
      const { message, progress, total } = params
      this.#pending.get(token)?.onProgress?.({
        progress,
        ...(typeof total === "number" ? { total } : {}),
        ...(typeof message === "string" ? { message } : {})
      })
    }
    return true
  }
}
