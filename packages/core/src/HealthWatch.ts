/**
 * Watches servers: holds a session of each, pings it at an interval, and follows its status.
 *
 * **Example** (Waiting until a server is healthy)
 *
 * ```ts import.meta.vitest
 * import { HealthWatch, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Deferred, Duration, Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.gen(function*() {
 *   const healthy = yield* Deferred.make()
 *   const watching = HealthWatch.watch({
 *     servers: ["everything"],
 *     interval: Duration.seconds(5),
 *     onChange: ({ row }) => row.latencies.length > 0 ? Deferred.succeed(healthy, row.health) : Effect.void
 *   })
 *   return yield* Effect.raceFirst(Deferred.await(healthy), watching)
 * }).pipe(Effect.scoped)
 * await Effect.runPromise(Effect.provide(program, live)) // => "healthy"
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { ConfigError } from "./ConfigError.ts"
import type { Session } from "./Session.ts"
import type { SessionError } from "./SessionError.ts"
import { type ServerStatus, Sessions } from "./Sessions.ts"

/**
 * A watched server at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface WatchedServer {
  /** The name of the server. */
  readonly name: string
  /** The health as the latest ping or contact showed it; `unknown` before the first. */
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
export const unknown = (name: string): WatchedServer => ({
  name,
  health: "unknown",
  state: "idle",
  latencies: [],
  restarts: 0,
  lastError: undefined
})

const withStatus = (row: WatchedServer, { connections, health }: ServerStatus): WatchedServer => {
  const generations = connections.map(({ state }) => "generation" in state ? state.generation - 1 : 0)
  return {
    ...row,
    health: health.lastChecked === undefined ? row.health : health.isHealthy ? "healthy" : "unhealthy",
    state: (connections[0]?.state._tag ?? "Idle").toLowerCase(),
    restarts: Math.max(row.restarts, ...generations),
    lastError: health.lastError ?? row.lastError
  }
}

/** Whether two rows show the same. A ping makes a new list of latencies. */
const isSame = (first: WatchedServer, second: WatchedServer): boolean =>
  Object.entries(first).every(([key, value]) => value === second[key as keyof WatchedServer])

/** Whether nothing was tried, because the latest attempts failed: their error says why. */
const isDown = (error: SessionError | ConfigError | undefined): boolean =>
  error?._tag === "SessionError" && ["ServerDown", "ServerEjected"].includes(error.reason._tag)

const withPing = (row: WatchedServer, outcome: Exit.Exit<number, SessionError | ConfigError>): WatchedServer => {
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

/** Opens the session through which a server is watched, for as long as the scope. */
type Open = (server: string) => Effect.Effect<Session, SessionError | ConfigError, Scope.Scope>

/** Takes a session for as long as the scope. A failure leaves nothing in it. */
const hold = Effect.fnUntraced(function*(open: ReturnType<Open>) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  return yield* open.pipe(
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
})

const watchServer = Effect.fnUntraced(function*(options: {
  readonly server: string
  readonly interval: Duration.Duration
  readonly open: Open | undefined
  readonly onChange: (change: (row: WatchedServer) => WatchedServer) => Effect.Effect<void>
}) {
  const { interval, onChange, server } = options
  const { get, statusChanges } = yield* Sessions
  const open = options.open ?? get
  yield* statusChanges(server).pipe(
    Stream.runForEach((status) => onChange((row) => withStatus(row, status))),
    // A server without a definition has no status. Its ping says why.
    Effect.ignore,
    Effect.forkScoped
  )
  let session: Session | undefined
  const ping = Effect.gen(function*() {
    session ??= yield* hold(open(server))
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
 * Watches servers until it is interrupted. `onChange` receives each row that has changed, which it does with each ping, and all rows in the order of
 * `servers`, one change at a time. If it fails, so does the watch.
 *
 * @category running
 * @since 0.1.0
 */
export const watch = <E>(options: {
  readonly servers: ReadonlyArray<string>
  readonly interval: Duration.Duration
  /** Opens the session that is pinged. Default: the shared session of the current owner. */
  readonly open?: Open | undefined
  readonly onChange: (options: {
    readonly row: WatchedServer
    readonly before: WatchedServer
    readonly rows: ReadonlyArray<WatchedServer>
  }) => Effect.Effect<void, E>
}): Effect.Effect<never, E, Sessions | Scope.Scope> =>
  Effect.gen(function*() {
    const rows = new Map(options.servers.map((name) => [name, unknown(name)]))
    const failed = yield* Deferred.make<never, E>()
    const turn = yield* Semaphore.make(1)
    const changeOf = (server: string) => (change: (row: WatchedServer) => WatchedServer) =>
      turn.withPermits(1)(Effect.suspend(() => {
        const before = rows.get(server) ?? unknown(server)
        const row = change(before)
        if (isSame(row, before)) return Effect.void
        rows.set(server, row)
        return Effect.catchCause(
          options.onChange({ row, before, rows: [...rows.values()] }),
          (cause) => Effect.asVoid(Deferred.failCause(failed, cause))
        )
      }))
    const all = Effect.forEach(
      options.servers,
      (server) => watchServer({ server, interval: options.interval, open: options.open, onChange: changeOf(server) }),
      { concurrency: "unbounded" }
    )
    return yield* Effect.raceFirst(Effect.andThen(all, Effect.never), Deferred.await(failed))
  })
