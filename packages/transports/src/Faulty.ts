/**
 * Transports with scripted faults: for tests of how a program copes with failing servers.
 *
 * A fault is a plain value: which event it strikes, and how. Everything else passes between the program and the transports below, such
 * as servers in memory. A fault that strikes a response lets the server run: the tool has done its work, though the program never
 * receives the result.
 *
 * **Example** (A server that accepts the third connect)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Faulty, Transports } from "@mcp-sessions/transports"
 * import { Effect, Fiber, Layer } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const transports = Faulty.layer({
 *   transports: Transports.layer,
 *   faults: [{ at: "connect", nth: [1, 2], what: Faulty.fail(Faulty.refused) }]
 * })
 * const sessions = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(transports))
 *
 * const program = Effect.gen(function*() {
 *   const { callTool } = yield* Sessions.Sessions
 *   const call = yield* Effect.forkChild(callTool("everything", "echo", { message: "hi" }), { startImmediately: true })
 *   // The retry policy waits a second before each of the two retries.
 *   yield* TestClock.adjust("2 seconds")
 *   return yield* Fiber.join(call)
 * })
 *
 * const result = await Effect.runPromise(program.pipe(Effect.provide(sessions), Effect.provide(TestClock.layer())))
 * result.content // => [{ type: "text", text: "Echo: hi" }]
 * ```
 *
 * **Example** (A tool that ran, and a response that was lost)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Faulty, Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const sessions = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Faulty.layer({
 *   transports: Transports.layer,
 *   faults: [{ at: "answer", tool: "echo", nth: 1, what: Faulty.lose }]
 * })))
 *
 * const program = Effect.gen(function*() {
 *   const { callTool } = yield* Sessions.Sessions
 *   const error = yield* Effect.flip(callTool("everything", "echo", { message: "hi" }))
 *   const again = yield* callTool("everything", "echo", { message: "hi" })
 *   return [error._tag === "SessionError" ? error.reason._tag : "", again.content.length]
 * })
 * await Effect.runPromise(Effect.provide(program, sessions)) // => ["OutcomeUnknown", 1]
 * ```
 *
 * @since 0.1.0
 */
import { type Connection, fromRequest } from "@mcp-sessions/core/Connection"
import {
  ConnectionRefused,
  type ConnectReason,
  type RequestReason,
  TransportClosed
} from "@mcp-sessions/core/SessionError"
import { Transport, Transports } from "@mcp-sessions/core/Transport"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * The effect of a fault: a failure, a lost connection, a wait without end, a delay, or another result.
 *
 * @category models
 * @since 0.1.0
 */
export type What<E extends ConnectReason | RequestReason = ConnectReason | RequestReason> =
  | { readonly _tag: "Fail"; readonly reason: E }
  | { readonly _tag: "Lose" }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Delay"; readonly duration: Duration.Input }
  | { readonly _tag: "Answer"; readonly value: unknown }

/**
 * Which connects, handshakes, requests or responses a fault strikes: of the `server`, `method` and `tool` given, or any; the `nth` of
 * them, counted from 1 over all connections, or each.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  /** The name of the server. Default: any. */
  readonly server?: string | undefined
  /** The JSON-RPC method, such as `tools/list`. Default: any. */
  readonly method?: string | undefined
  /** The name of the tool. Default: any. */
  readonly tool?: string | undefined
  /** Which of the matches are struck, counted from 1 over all connections. Default: each. */
  readonly nth?: number | ReadonlyArray<number> | undefined
}

/**
 * A fault. It strikes a connect, a handshake, a request before it is sent, or its response before it is received. Where several faults
 * match, the first one strikes.
 *
 * @category models
 * @since 0.1.0
 */
export type Fault =
  | Target & { readonly at: "connect" | "initialize"; readonly what: What<ConnectReason> }
  | Target & { readonly at: "request" | "answer"; readonly what: What<RequestReason> }

/**
 * Fails with a reason. The delivery of the reason says how far the request got.
 *
 * @category faults
 * @since 0.1.0
 */
export const fail = <E extends ConnectReason | RequestReason>(reason: E): What<E> => ({ _tag: "Fail", reason })

/**
 * Loses the connection. A request is lost before it is sent; a response is lost after the request has run.
 *
 * @category faults
 * @since 0.1.0
 */
export const lose: What<never> = { _tag: "Lose" }

/**
 * Waits without end.
 *
 * @category faults
 * @since 0.1.0
 */
export const hang: What<never> = { _tag: "Hang" }

/**
 * Waits before it goes on, by the `Clock`.
 *
 * @category faults
 * @since 0.1.0
 */
export const delay = (duration: Duration.Input): What<never> => ({ _tag: "Delay", duration })

/**
 * Replaces the result, for example by a malformed one.
 *
 * @category faults
 * @since 0.1.0
 */
export const answer = (value: unknown): What<never> => ({ _tag: "Answer", value })

/**
 * The failure of a connect to a server that is not running.
 *
 * @category reasons
 * @since 0.1.0
 */
export const refused: ConnectionRefused = new ConnectionRefused({ address: "faulty", code: "ECONNREFUSED" })

interface Place {
  readonly at: Fault["at"]
  readonly server: string
  readonly method?: string | undefined
  readonly tool?: unknown
}

/** Counts the matches of each fault. */
class Faults<E extends ConnectReason | RequestReason> {
  readonly #faults: ReadonlyArray<
    { readonly fault: Target & Pick<Place, "at"> & { readonly what: What<E> }; seen: number }
  >

  constructor(faults: ReadonlyArray<Target & Pick<Place, "at"> & { readonly what: What<E> }>) {
    this.#faults = faults.map((fault) => ({ fault, seen: 0 }))
  }

  /** Returns the effect of the fault that strikes there, if one does. */
  strike({ at, method, server, tool }: Place): What<E> | undefined {
    let first: What<E> | undefined
    for (const entry of this.#faults) {
      const { fault } = entry
      const isMatch = fault.at === at && (fault.server ?? server) === server && (fault.method ?? method) === method &&
        (fault.tool === undefined || fault.tool === tool)
      if (!isMatch) continue
      entry.seen++
      const isNth = fault.nth === undefined || [fault.nth].flat().includes(entry.seen)
      if (isNth) first ??= fault.what
    }
    return first
  }
}

interface AllFaults {
  readonly ofConnects: Faults<ConnectReason>
  readonly ofRequests: Faults<RequestReason>
}

const isConnectFault = (fault: Fault): fault is Extract<Fault, { readonly what: What<ConnectReason> }> =>
  fault.at === "connect" || fault.at === "initialize"

const isRequestFault = (fault: Fault): fault is Extract<Fault, { readonly what: What<RequestReason> }> =>
  !isConnectFault(fault)

/** Applies a fault to an effect. */
const applyFault = <A, E extends ConnectReason | RequestReason>(options: {
  readonly what: What<E> | undefined
  readonly effect: Effect.Effect<A, E>
  readonly lose: Effect.Effect<never, TransportClosed>
}): Effect.Effect<A, E | TransportClosed> => {
  const { effect, lose, what } = options
  switch (what?._tag) {
    case undefined:
      return effect
    case "Fail":
      return Effect.fail(what.reason)
    case "Lose":
      return lose
    case "Hang":
      return Effect.never
    case "Delay":
      return Effect.andThen(Effect.sleep(what.duration), effect)
    case "Answer":
      return Effect.succeed(what.value as A)
  }
}

const faulty = (inner: Connection, server: string, faults: AllFaults): Effect.Effect<Connection> => {
  const lost = Deferred.makeUnsafe<TransportClosed>()
  const lose = (delivery: "NotSent" | "Unknown") => {
    const reason = new TransportClosed({ delivery })
    return Effect.andThen(Deferred.succeed(lost, reason), Effect.fail(reason))
  }
  const around = <A>(place: Omit<Place, "at" | "server">, effect: Effect.Effect<A, RequestReason>) =>
    Effect.suspend(() =>
      applyFault({
        what: faults.ofRequests.strike({ ...place, at: "request", server }),
        effect: Effect.flatMap(effect, (value) =>
          applyFault({
            what: faults.ofRequests.strike({ ...place, at: "answer", server }),
            effect: Effect.succeed(value),
            lose: lose("Unknown")
          })),
        lose: lose("NotSent")
      })
    )
  return fromRequest({
    get kind() {
      return inner.kind
    },
    initialize: Effect.suspend(() =>
      applyFault({
        what: faults.ofConnects.strike({ at: "initialize", server }),
        effect: inner.initialize,
        lose: lose("NotSent")
      })
    ),
    request: (request) => around({ method: request.method, tool: request.params?.name }, inner.request(request)),
    onNotification: (listener) => inner.onNotification(listener),
    listen: (filter) => inner.listen(filter),
    setLogLevel: (level) => around({ method: "logging/setLevel" }, inner.setLogLevel(level)),
    answerInput: inner.answerInput?.bind(inner),
    closed: Effect.raceFirst(inner.closed, Deferred.await(lost)),
    refusal: () => inner.refusal?.(),
    stderrTail: () => inner.stderrTail(),
    sessionId: () => inner.sessionId?.(),
    warnings: () => inner.warnings()
  })
}

/**
 * Layer that provides other transports with faults.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E>(options: {
  readonly transports: Layer.Layer<Transports, E>
  readonly faults: ReadonlyArray<Fault>
}): Layer.Layer<Transports, E> =>
  Layer.effect(
    Transports,
    Effect.map(Transports, (inner) => {
      const faults: AllFaults = {
        ofConnects: new Faults(options.faults.filter(isConnectFault)),
        ofRequests: new Faults(options.faults.filter(isRequestFault))
      }
      return {
        transport: (definition) => {
          const { name: server } = definition
          const made = Effect.map(Transport, (transport) => ({
            ...transport,
            connect: Effect.suspend(() => {
              const what = faults.ofConnects.strike({ at: "connect", server })
              const connect = Effect.flatMap(transport.connect, (connection) => faulty(connection, server, faults))
              const struck = applyFault({
                what,
                effect: Effect.void,
                lose: Effect.fail(new TransportClosed({ delivery: "NotSent" }))
              })
              return what === undefined ? connect : Effect.andThen(struck, connect)
            })
          }))
          return Layer.effect(Transport, made).pipe(Layer.provide(inner.transport(definition)))
        }
      }
    })
  ).pipe(Layer.provide(options.transports))
