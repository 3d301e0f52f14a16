/**
 * Dispatcher: runs the requests of a client, and takes its other messages, whatever they arrive on.
 */
import type { JSONRPCMessage, JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as PubSub from "effect/PubSub"
import type { Fork } from "../../scopedFork.ts"
import { type ClientCall, interrupt, makeCall, type Reply } from "../client/clientCall.ts"
import type { ClientSession } from "../client/clientSession.ts"
import type { Outcome } from "../client/task.ts"
import { askedPlace } from "../client/taskRequests.ts"
import { guarded } from "../http/defects.ts"
import {
  codes,
  encodeError,
  encodeNotification,
  encodeResult,
  gatewayFailed,
  idInUse,
  progressTokenOf,
  RpcError,
  type RpcId
} from "../protocol/rpc.ts"
import { type Recorder, recordOf } from "./audit.ts"
import { deliveryOf } from "./delivery.ts"
import { type Method, methodOf, startTool } from "./methods.ts"

export const isRequest = (message: JSONRPCMessage): message is JSONRPCRequest => "method" in message && "id" in message

/** What a request fails with whose session closes. Only a tool must not be called again if it may have run. */
const stopped = (request: { readonly call: ClientCall; readonly method: string }): RpcError => {
  const delivery = deliveryOf(request.call)
  return new RpcError({
    code: codes.serverFailed,
    message: "the session was closed before the response came",
    data: {
      reason: "SessionClosed",
      delivery,
      isRetryable: delivery === "NotSent" || request.method !== "tools/call"
    }
  })
}

/** What a request fails with by a defect of the gateway, which its log has. */
const failed = ({ call, method }: { readonly call: ClientCall; readonly method: string }): RpcError => {
  const delivery = deliveryOf(call)
  const isRetryable = delivery === "NotSent" || method !== "tools/call"
  return new RpcError({ ...gatewayFailed, data: { reason: "GatewayFailed", delivery, isRetryable } })
}

/** What a request fails with whose server asks, while too many others wait for answers. Its server has received it. */
const tooManyWaiting = (
  { call: { server }, method }: { readonly call: ClientCall; readonly method: string }
): RpcError =>
  new RpcError({
    code: codes.limited,
    message: "too many calls wait for answers of their clients",
    data: { server, reason: "TooManyWaiting", delivery: "Unknown", isRetryable: method !== "tools/call" }
  })

/** A request that has ended. */
interface Ended {
  readonly call: ClientCall
  readonly method: string
  readonly exit: Exit.Exit<unknown, RpcError>
}

export class Dispatcher {
  readonly #fork: Fork
  readonly #now: () => number
  readonly #record: Recorder | undefined

  constructor({ fork, now, record }: {
    readonly fork: Fork
    /** Monotonic time in milliseconds. */
    readonly now: () => number
    readonly record: Recorder | undefined
  }) {
    this.#fork = fork
    this.#now = now
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
    const startedAt = this.#now()
    const guard = {
      fork: this.#fork,
      doing: `end ${method}`,
      onFailure: () => call.reply.settle(encodeError(call.id, failed(options)))
    }
    let isOver = false
    const end = (exit: Exit.Exit<unknown, RpcError>) => {
      if (isOver) return
      isOver = true
      guarded(guard, () => {
        client.touch()
        const take = this.#record
        if (take !== undefined) {
          const record = recordOf({ ...options, exit, duration: this.#now() - startedAt })
          if (record !== undefined) take(record)
        }
        onEnd(exit)
      })
    }
    const run = (effect: Effect.Effect<unknown, RpcError>) => {
      const fiber = this.#fork(effect)
      call.run = { _tag: "Fiber", fiber }
      fiber.addObserver(end)
    }
    call.refuse = () => {
      end(Exit.fail(tooManyWaiting(options)))
      interrupt(call)
    }
    const context = { offer: client.lists.offer, client, call, params }
    const start = () => run(before === undefined ? handled : Effect.andThen(before, handled))
    const handled = Effect.suspend(() => handle(context))
    if (before !== undefined || method !== "tools/call") return start()
    try {
      if (!startTool(context, { onEnd: end, onFailure: run })) start()
    } catch (defect) {
      end(Exit.die(defect))
    }
  }

  /** Calls a function after a time in milliseconds, and returns what cancels that. */
  readonly later = (run: () => void, time: number): () => void => {
    const fiber = this.#fork(Effect.delay(Effect.sync(run), time))
    return () => fiber.interruptUnsafe()
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
    const call = makeCall({ id, progressToken: progressTokenOf(params), reply })
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
        reply.settle(call.isCancelled ? undefined : this.encode({ id, call, method, exit }))
      }
    })
  }

  /** Ends the task of a call that has ended. Returns `false` if it never became one, so that its client waits for the result. */
  endTask(client: ClientSession, call: ClientCall, method: string, exit: Exit.Exit<unknown, RpcError>): boolean {
    const { place } = call
    return place !== undefined && client.tasks.end(place, this.#outcomeOf({ call, method, exit }))
  }

  #outcomeOf({ exit, ...request }: Ended): Outcome {
    if (Exit.isSuccess(exit)) return { _tag: "Completed", result: exit.value as Readonly<Record<string, unknown>> }
    const error = this.#errorOf(request, exit.cause)
    const isCancelled = Predicate.hasProperty(error.data, "reason") && error.data.reason === "TaskCancelled"
    return isCancelled ? { _tag: "Cancelled" } : { _tag: "Failed", error }
  }

  /** Encodes how a request ended. */
  encode({ exit, id, ...request }: Ended & { readonly id: RpcId }): string {
    return Exit.isSuccess(exit) ? encodeResult(id, exit.value) : encodeError(id, this.#errorOf(request, exit.cause))
  }

  #errorOf(request: Omit<Ended, "exit">, cause: Cause.Cause<RpcError>): RpcError {
    const failure = Cause.findErrorOption(cause)
    if (failure._tag === "Some") return failure.value
    if (Cause.hasInterruptsOnly(cause)) return stopped(request)
    this.#fork(Effect.logError(`the gateway failed to handle ${request.method}`, cause))
    return failed(request)
  }
}
