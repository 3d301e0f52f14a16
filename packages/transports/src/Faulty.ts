/**
 * Transports that fail as they are told: for tests of what a program does when servers do not do what they should.
 *
 * A fault is a plain value: where it strikes, and what happens there. The rest of a conversation goes on between the program
 * and whatever transports lie below, such as servers in memory. Faults that strike after the server has answered let it run:
 * what a tool did is done, though the program never hears of it.
 *
 * **Example** (A server that is there at the third try)
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
 *   // The retry policy waits a second before each of the other two tries.
 *   yield* TestClock.adjust("2 seconds")
 *   return yield* Fiber.join(call)
 * })
 *
 * const result = await Effect.runPromise(program.pipe(Effect.provide(sessions), Effect.provide(TestClock.layer())))
 * result.content // => [{ type: "text", text: "Echo: hi" }]
 * ```
 *
 * **Example** (A tool that ran, and an answer that never came)
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
import { ConnectionRefused, type Reason, TransportClosed } from "@mcp-sessions/core/SessionError"
import { Transport, Transports } from "@mcp-sessions/core/Transport"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * What happens where a fault strikes: it fails, it loses the connection, nothing happens any more, it takes longer, or there is
 * another answer.
 *
 * @category models
 * @since 0.1.0
 */
export type What =
  | { readonly _tag: "Fail"; readonly reason: Reason }
  | { readonly _tag: "Lose" }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Delay"; readonly duration: Duration.Input }
  | { readonly _tag: "Answer"; readonly value: unknown }

/**
 * A fault. It strikes at a connect, a handshake, a request before it leaves, or its answer before it arrives; of the `server`,
 * `method` and `tool` given, or any; at the `nth` of those, counted from 1 over all connections, or each time.
 *
 * Where several faults match, the first strikes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fault {
  readonly at: "connect" | "initialize" | "request" | "answer"
  readonly server?: string | undefined
  readonly method?: string | undefined
  readonly tool?: string | undefined
  readonly nth?: number | ReadonlyArray<number> | undefined
  readonly what: What
}

/**
 * Fails with a reason. Each reason says by itself how far the request got.
 *
 * @category faults
 * @since 0.1.0
 */
export const fail = (reason: Reason): What => ({ _tag: "Fail", reason })

/**
 * Loses the connection. A request that this strikes has not left; one whose answer it strikes has run.
 *
 * @category faults
 * @since 0.1.0
 */
export const lose: What = { _tag: "Lose" }

/**
 * Nothing happens any more.
 *
 * @category faults
 * @since 0.1.0
 */
export const hang: What = { _tag: "Hang" }

/**
 * It takes longer, by the `Clock`.
 *
 * @category faults
 * @since 0.1.0
 */
export const delay = (duration: Duration.Input): What => ({ _tag: "Delay", duration })

/**
 * The answer is another one, such as garbage.
 *
 * @category faults
 * @since 0.1.0
 */
export const answer = (value: unknown): What => ({ _tag: "Answer", value })

/**
 * What a server that is not there makes of a connect.
 *
 * @category reasons
 * @since 0.1.0
 */
export const refused: Reason = new ConnectionRefused({ address: "faulty", code: "ECONNREFUSED" })

interface Place {
  readonly at: Fault["at"]
  readonly server: string
  readonly method?: string | undefined
  readonly tool?: unknown
}

/** Counts what each fault could have struck. */
class Faults {
  readonly #faults: ReadonlyArray<{ readonly fault: Fault; seen: number }>

  constructor(faults: ReadonlyArray<Fault>) {
    this.#faults = faults.map((fault) => ({ fault, seen: 0 }))
  }

  /** What happens there, if anything does. */
  strike({ at, method, server, tool }: Place): What | undefined {
    let first: What | undefined
    for (const entry of this.#faults) {
      const { fault } = entry
      const isThere = fault.at === at && (fault.server ?? server) === server && (fault.method ?? method) === method &&
        (fault.tool === undefined || fault.tool === tool)
      if (!isThere) continue
      entry.seen++
      const isNth = fault.nth === undefined || [fault.nth].flat().includes(entry.seen)
      if (isNth) first ??= fault.what
    }
    return first
  }
}

/** Does what happens in place of an effect, or before it; `after` tells whether the effect has happened. */
const suffer = <A>(options: {
  readonly what: What | undefined
  readonly effect: Effect.Effect<A, Reason>
  readonly lose: (delivery: "NotSent" | "Unknown") => Effect.Effect<never, Reason>
  readonly after: boolean
}): Effect.Effect<A, Reason> => {
  const { after, effect, lose, what } = options
  switch (what?._tag) {
    case undefined:
      return effect
    case "Fail":
      return Effect.fail(what.reason)
    case "Lose":
      return lose(after ? "Unknown" : "NotSent")
    case "Hang":
      return Effect.never
    case "Delay":
      return Effect.andThen(Effect.sleep(what.duration), effect)
    case "Answer":
      return Effect.succeed(what.value as A)
  }
}

const faulty = (inner: Connection, server: string, faults: Faults): Effect.Effect<Connection> => {
  const lost = Deferred.makeUnsafe<Reason>()
  const lose = (delivery: "NotSent" | "Unknown") => {
    const reason = new TransportClosed({ delivery })
    return Effect.andThen(Deferred.succeed(lost, reason), Effect.fail(reason))
  }
  const around = <A>(place: Omit<Place, "at" | "server">, effect: Effect.Effect<A, Reason>) =>
    Effect.suspend(() =>
      suffer({
        what: faults.strike({ ...place, at: "request", server }),
        effect: Effect.flatMap(effect, (value) =>
          suffer({
            what: faults.strike({ ...place, at: "answer", server }),
            effect: Effect.succeed(value),
            lose,
            after: true
          })),
        lose,
        after: false
      })
    )
  return fromRequest({
    get kind() {
      return inner.kind
    },
    initialize: Effect.suspend(() =>
      suffer({ what: faults.strike({ at: "initialize", server }), effect: inner.initialize, lose, after: false })
    ),
    request: (request) => around({ method: request.method, tool: request.params?.name }, inner.request(request)),
    onNotification: inner.onNotification,
    listen: inner.listen,
    setLogLevel: (level) => around({ method: "logging/setLevel" }, inner.setLogLevel(level)),
    closed: Effect.raceFirst(inner.closed, Deferred.await(lost)),
    stderrTail: inner.stderrTail,
    warnings: inner.warnings
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
      const faults = new Faults(options.faults)
      return {
        transport: (definition) => {
          const { name: server } = definition
          const made = Effect.map(Transport, (transport) => ({
            connect: Effect.suspend(() => {
              const what = faults.strike({ at: "connect", server })
              const connect = Effect.flatMap(transport.connect, (connection) => faulty(connection, server, faults))
              return what === undefined ? connect : Effect.andThen(
                suffer({
                  what,
                  effect: Effect.void,
                  lose: (delivery) => Effect.fail(new TransportClosed({ delivery })),
                  after: false
                }),
                connect
              )
            })
          }))
          return Layer.effect(Transport, made).pipe(Layer.provide(inner.transport(definition)))
        }
      }
    })
  ).pipe(Layer.provide(options.transports))
