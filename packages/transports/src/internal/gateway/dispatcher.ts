/**
 * Dispatcher: runs the requests of a client, and takes its other messages, whatever they arrive on.
 */
import type { JSONRPCMessage, JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as PubSub from "effect/PubSub"
import { type Recorder, recordOf } from "./audit.ts"
import { type ClientCall, interrupt, makeCall, type Reply } from "./clientCall.ts"
import type { ClientSession } from "./clientSession.ts"
import { type Method, methodOf, startTool } from "./methods.ts"
import { codes, encodeError, encodeNotification, encodeResult, RpcError, type RpcId } from "./rpc.ts"
import type { Outcome } from "./task.ts"
import { askedPlace } from "./taskRequests.ts"

export const isRequest = (message: JSONRPCMessage): message is JSONRPCRequest => "method" in message && "id" in message

/** What a request fails with whose session closes. */
const stopped = (method: string): RpcError =>
  new RpcError({
    code: codes.serverFailed,
    message: "the session was closed before the response came",
    data: {
      reason: "SessionClosed",
      delivery: method === "tools/call" ? "Unknown" : "NotSent",
      isRetryable: false
    }
  })

const idInUse = new RpcError({ code: codes.invalidRequest, message: "another request with this id is in flight" })

export class Dispatcher {
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly #record: Recorder | undefined

  constructor({ fork, record }: {
    readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
    readonly record: Recorder | undefined
  }) {
    this.#fork = fork
    this.#record = record
  }

  /** Starts a request that is among the calls of its client. `onEnd` receives how it ended. */
  start(options: {
    readonly client: ClientSession
    readonly call: ClientCall
    readonly method: string
    readonly params: Readonly<Record<string, unknown>>
    readonly handle: Method
    /** What has to be done first. */
    readonly before?: Effect.Effect<void> | undefined
    readonly onEnd: (exit: Exit.Exit<unknown, RpcError>) => void
  }): void {
    const { before, call, client, handle, method, onEnd, params } = options
    const startedAt = performance.now()
    const end = (exit: Exit.Exit<unknown, RpcError>) => {
      client.touch()
      const take = this.#record
      if (take !== undefined) {
        const record = recordOf({ ...options, exit, duration: performance.now() - startedAt })
        if (record !== undefined) take(record)
      }
      onEnd(exit)
    }
    const run = (effect: Effect.Effect<unknown, RpcError>) => {
      const fiber = this.#fork(effect)
      call.run = { _tag: "Fiber", fiber }
      fiber.addObserver(end)
    }
    const context = { offer: client.lists.offer, client, call, params }
    if (before !== undefined) run(Effect.andThen(before, Effect.suspend(() => handle(context))))
    else if (method !== "tools/call" || !startTool(context, { onEnd: end, onFailure: run })) run(handle(context))
  }

  /** Takes a message of a client that needs no response. */
  take(client: ClientSession, message: JSONRPCMessage): void {
    if ("method" in message) {
      if (message.method === "notifications/roots/list_changed") PubSub.publishUnsafe(client.rootsChanges, undefined)
      if (message.method !== "notifications/cancelled") return
      const call = client.calls.get((message.params as { readonly requestId?: RpcId } | undefined)?.requestId ?? "")
      if (call === undefined) return
      call.isCancelled = true
      interrupt(call)
    } else if (message.id !== undefined) {
      const { id } = message
      if ("error" in message) client.questions.answer(id, Effect.fail(new RpcError(message.error)))
      else client.questions.answer(id, Effect.succeed(message.result))
    }
  }

  /** Runs a request of a client, and settles the reply with its outcome. */
  run(client: ClientSession, { id, method, params = {} }: JSONRPCRequest, reply: Reply): void {
    const handle = methodOf(client, method)
    if (handle === undefined) {
      reply.settle(encodeError(id, new RpcError({ code: codes.methodNotFound, message: `unknown method ${method}` })))
      return
    }
    if (client.calls.has(id)) {
      reply.settle(encodeError(id, idInUse))
      return
    }
    const place = askedPlace(client, method, params)
    if (place instanceof RpcError) {
      reply.settle(encodeError(id, place))
      return
    }
    const progressToken = (params._meta as { readonly progressToken?: unknown } | undefined)?.progressToken
    const call = makeCall({
      id,
      progressToken: Predicate.isString(progressToken) || Predicate.isNumber(progressToken) ? progressToken : undefined,
      reply
    })
    call.place = place
    let key = id
    client.calls.set(key, call)
    if (place !== undefined) {
      place.onBegin = (task) => {
        // The request is over. What cancels it does not concern the task.
        client.calls.delete(key)
        key = task.name
        client.calls.set(key, call)
        task.onChange(() => client.output.send(encodeNotification("notifications/tasks/status", task.legacy)))
        reply.settle(encodeResult(id, { task: task.legacy }))
      }
    }
    this.start({
      client,
      call,
      method,
      params,
      handle,
      onEnd: (exit) => {
        client.calls.delete(key)
        // A client that asks for a task has one, even if the server answers at once.
        if (place?.task === undefined && Exit.isSuccess(exit)) place?.report(call, {})
        if (this.endTask(client, call, method, exit)) return
        reply.settle(call.isCancelled ? undefined : this.encode(id, method, exit))
      }
    })
  }

  /** Ends the task of a call that has ended. Returns `false` if it never became one, so that its client waits for the result. */
  endTask(client: ClientSession, { place }: ClientCall, method: string, exit: Exit.Exit<unknown, RpcError>): boolean {
    return place !== undefined && client.tasks.end(place, this.#outcomeOf(method, exit))
  }

  #outcomeOf(method: string, exit: Exit.Exit<unknown, RpcError>): Outcome {
    if (Exit.isSuccess(exit)) return { _tag: "Completed", result: exit.value as Readonly<Record<string, unknown>> }
    const error = this.#errorOf(method, exit.cause)
    const isCancelled = Predicate.hasProperty(error.data, "reason") && error.data.reason === "TaskCancelled"
    return isCancelled ? { _tag: "Cancelled" } : { _tag: "Failed", error }
  }

  /** Encodes how a request ended. */
  encode(id: RpcId, method: string, exit: Exit.Exit<unknown, RpcError>): string {
    return Exit.isSuccess(exit) ? encodeResult(id, exit.value) : encodeError(id, this.#errorOf(method, exit.cause))
  }

  #errorOf(method: string, cause: Cause.Cause<RpcError>): RpcError {
    const failure = Cause.findErrorOption(cause)
    if (failure._tag === "Some") return failure.value
    if (Cause.hasInterruptsOnly(cause)) return stopped(method)
    this.#fork(Effect.logError(`the gateway failed to handle ${method}`, cause))
    return new RpcError({ code: codes.internalError, message: "the gateway failed" })
  }
}
