/**
 * Watches servers: holds a session of each, pings it at an interval, and follows its status.
 *
 * @since 0.1.0
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import { type ServerStatus, Sessions } from "@mcp-sessions/core/Sessions"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"

/**
 * A watched server at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly name: string
  readonly health: "unknown" | "healthy" | "unhealthy"
  /** The state of the connection, such as `ready`, `connecting` or `backoff`. */
  readonly state: string
  /** The times of the latest pings in milliseconds, the last one last. `undefined` for a ping that failed. At most {@link historyLimit}. */
  readonly latencies: ReadonlyArray<number | undefined>
  /** How many connections there were after the first. */
  readonly restarts: number
  /** The latest error. Kept after recovery. */
  readonly lastError: SessionError | ConfigError | undefined
}

/**
 * How many pings of a server are remembered. Value: 16.
 *
 * @category constants
 * @since 0.1.0
 */
export const historyLimit = 16

/**
 * A server before the first contact.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unknown = (name: string): Row => ({
  name,
  health: "unknown",
  state: "idle",
  latencies: [],
  restarts: 0,
  lastError: undefined
})

const withStatus = (row: Row, { connections, health }: ServerStatus): Row => {
  const generations = connections.map(({ state }) => "generation" in state ? state.generation - 1 : 0)
  return {
    ...row,
    health: health.lastChecked === undefined ? row.health : health.isHealthy ? "healthy" : "unhealthy",
    state: (connections[0]?.state._tag ?? "Idle").toLowerCase(),
    restarts: Math.max(row.restarts, ...generations),
    lastError: health.lastError ?? row.lastError
  }
}

/** Whether nothing was tried, because the latest attempts failed: their error says why. */
const isDown = (error: SessionError | ConfigError | undefined): boolean =>
  error?._tag === "SessionError" && error.reason._tag === "ServerDown"

const withPing = (row: Row, outcome: Exit.Exit<number, SessionError | ConfigError>): Row => {
  const latency = Exit.isSuccess(outcome) ? outcome.value : undefined
  const [failure] = Exit.isFailure(outcome)
    ? outcome.cause.reasons.flatMap((reason) => reason._tag === "Fail" ? [reason.error] : [])
    : []
  return {
    ...row,
    health: Exit.isSuccess(outcome) ? "healthy" : "unhealthy",
    latencies: [...row.latencies, latency].slice(-historyLimit),
    lastError: isDown(failure) ? row.lastError ?? failure : failure ?? row.lastError
  }
}

/** Takes a session for as long as the scope. A failure leaves nothing in it. */
const hold = Effect.fnUntraced(function*(name: string) {
  const { get } = yield* Sessions
  const scope = yield* Scope.fork(yield* Effect.scope)
  return yield* get(name).pipe(
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
})

const watchServer = Effect.fnUntraced(function*(options: {
  readonly server: string
  readonly interval: Duration.Duration
  readonly onChange: (change: (row: Row) => Row) => Effect.Effect<void>
}) {
  const { interval, onChange, server } = options
  const { statusChanges } = yield* Sessions
  yield* statusChanges(server).pipe(
    Stream.runForEach((status) => onChange((row) => withStatus(row, status))),
    // A server without a definition has no status. Its ping says why.
    Effect.ignore,
    Effect.forkScoped
  )
  let session: Session | undefined
  const ping = Effect.gen(function*() {
    session ??= yield* hold(server)
    const start = yield* Clock.monotonicTimeNanos
    yield* session.ping
    return Number((yield* Clock.monotonicTimeNanos) - start) / 1e6
  })
  return yield* Effect.exit(ping).pipe(
    Effect.flatMap((outcome) => onChange((row) => withPing(row, outcome))),
    Effect.andThen(Effect.sleep(interval)),
    Effect.forever
  )
})

/**
 * Watches servers until it is interrupted. `onChange` receives each row that is not as it was, and all rows in the order of `servers`, one change
 * at a time.
 *
 * @category running
 * @since 0.1.0
 */
export const watch = <E>(options: {
  readonly servers: ReadonlyArray<string>
  readonly interval: Duration.Duration
  readonly onChange: (options: {
    readonly row: Row
    readonly before: Row
    readonly rows: ReadonlyArray<Row>
  }) => Effect.Effect<void, E>
}): Effect.Effect<never, E, Sessions | Scope.Scope> =>
  Effect.gen(function*() {
    const rows = new Map(options.servers.map((name) => [name, unknown(name)]))
    const failed = yield* Deferred.make<never, E>()
    const turn = yield* Semaphore.make(1)
    const changeOf = (server: string) => (change: (row: Row) => Row) =>
      turn.withPermits(1)(Effect.suspend(() => {
        const before = rows.get(server) ?? unknown(server)
        const row = change(before)
        rows.set(server, row)
        return Effect.catchCause(
          options.onChange({ row, before, rows: [...rows.values()] }),
          (cause) => Effect.asVoid(Deferred.failCause(failed, cause))
        )
      }))
    const all = Effect.forEach(
      options.servers,
      (server) => watchServer({ server, interval: options.interval, onChange: changeOf(server) }),
      { concurrency: "unbounded" }
    )
    return yield* Effect.raceFirst(Effect.andThen(all, Effect.never), Deferred.await(failed))
  })
