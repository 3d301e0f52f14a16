/**
 * Pools of sessions of one server: for servers whose sessions serve one caller at a time, and for many owners that share few
 * sessions.
 *
 * **When to use**
 *
 * Most programs need no pool. One session carries any number of concurrent requests, `Sessions` already shares it, and a server
 * without sessions (2026-07-28 over HTTP) has nothing to pool. Use a pool for a server that keeps state per session which callers
 * must not share (a browser, a transaction, a working directory), for a stdio server that handles one request at a time, and for many
 * owners on a server that accepts few sessions.
 *
 * **Details**
 *
 * A caller leases an idle session of its own identity. If there is none, the pool opens a session while there are fewer than `max`, or
 * evicts the session that has been idle longest. Otherwise the caller waits, first come, first served, for at most `acquireTimeout`. A
 * session is leased only to the identity that it was opened for. With `concurrency` above 1, several callers lease one
 * session at a time.
 *
 * A returned session is leased again unless it has expired, or its connection was lost or replaced during the lease. An interrupted
 * caller cancels its requests and returns its session. A session that has been idle for `validateAfter` must answer a ping before it
 * is leased. When the credentials of an owner change, sessions with the former credentials are not leased again.
 *
 * **Gotchas**
 *
 * State that a server keeps for a session remains after the lease. After the lease, all calls on the session object fail with
 * `SessionClosed`.
 *
 * **Example** (Leasing a session)
 *
 * ```ts import.meta.vitest
 * import { SessionPool, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* SessionPool.make({ server: "everything", max: 2 })
 *   yield* Effect.forEach([1, 2, 3, 4], (n) =>
 *     pool.use((session) => session.callTool("get-sum", { a: n, b: n })), { concurrency: "unbounded" })
 *   const { max, waiting } = yield* pool.stats
 *   return { max, waiting }
 * }).pipe(Effect.scoped)
 * await Effect.runPromise(Effect.provide(program, live)) // => { max: 2, waiting: 0 }
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { Span } from "effect/Tracer"
import type { ConfigError } from "./ConfigError.ts"
import { BadOptions, checkCall, withoutOwner } from "./internal/config/callOptions.ts"
import { ownedCallRules, ownerRules } from "./internal/config/optionRules.ts"
import * as pool from "./internal/pool/pool.ts"
import { checkPoolOptions } from "./internal/pool/poolOptions.ts"
import { identityOf } from "./internal/registry/registryOf.ts"
import { guardTelemetry } from "./internal/telemetry/guard.ts"
import { telemetryOf } from "./internal/telemetry/serverTelemetry.ts"
import type { CallToolResult } from "./Mcp.ts"
import type { CallToolOptions, Session, TypedCallOptions } from "./Session.ts"
import { SessionError } from "./SessionError.ts"
import { type OwnerOptions, Sessions } from "./Sessions.ts"

/**
 * Options of a pool.
 *
 * | option           | meaning                                                             | default              | bounds                                 | why                                                 |
 * | ---------------- | ------------------------------------------------------------------- | -------------------- | -------------------------------------- | --------------------------------------------------- |
 * | `server`         | name of the server                                                  |                      |                                        |                                                     |
 * | `owner`          | owner of leases that name none, and of the `min` sessions           | `default`            |                                        |                                                     |
 * | `max`            | sessions at a time, including those that are being opened or closed | 10                   | 1 to 10000                             | the sessions that the server accepts                |
 * | `min`            | sessions that are kept open for `owner`                             | 0                    | 0 to `max`                             | opening a session takes time                        |
 * | `concurrency`    | leases of one session at a time                                     | 1                    | 1 to 10000                             | more leases share more and isolate less             |
 * | `acquireTimeout` | how long a caller waits for a session                               | 5 seconds            | 1 millisecond to 1 hour                | an overload is reported, not queued                 |
 * | `idleTimeToLive` | how long a session stays open without a lease                       | 5 minutes            | 0 to 24 hours                          | servers limit idle sessions too                     |
 * | `maxLifetime`    | the age at which a session closes, less up to 2.5 % at random       | 30 minutes           | 0 (any age), or from `idleTimeToLive` to 30 days | load balancers move, and servers leak memory |
 * | `validateAfter`  | idle time after which a session must answer a ping before a lease   | 30 seconds           | 0 to 24 hours                          | a dead server does not always close its connections |
 * | `leakAfter`      | duration after which a lease is reported, once                      | 1 hour               | 0 (never) to 30 days                   | a session that is never returned is lost to all     |
 * | `onLeak`         | receives the report                                                 | logs a warning       |                                        |                                                     |
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionPoolOptions {
  /** The name of the server. */
  readonly server: string
  /** The owner of leases that name none, and of the `min` sessions. Default: `default`. */
  readonly owner?: string | undefined
  /** The most sessions at a time, including those that are being opened or closed: 1 to 10,000. Default: 10. */
  readonly max?: number | undefined
  /** Sessions that are kept open for `owner`: 0 to `max`. Default: 0. */
  readonly min?: number | undefined
  /** Leases of one session at a time: 1 to 10,000. Default: 1. */
  readonly concurrency?: number | undefined
  /**
   * How long a caller waits for a session: up to 1 hour. Then it fails with {@link AcquireTimeout}. Default: 5 seconds.
   */
  readonly acquireTimeout?: Duration.Input | undefined
  /** How long a session stays open without a lease: up to 24 hours. Default: 5 minutes. */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** The age at which a session closes, less up to 2.5 % at random; 0 for any age. Default: 30 minutes. */
  readonly maxLifetime?: Duration.Input | undefined
  /** The idle time after which a session must answer a ping before a lease: up to 24 hours. Default: 30 seconds. */
  readonly validateAfter?: Duration.Input | undefined
  /** How long a lease may last before it is reported, once; 0 for never. Default: 1 hour. */
  readonly leakAfter?: Duration.Input | undefined
  /** Receives the report of a lease that lasts too long. Default: logs a warning. */
  readonly onLeak?: ((report: LeakReport) => Effect.Effect<void>) | undefined
}

/**
 * Reports a lease that has lasted longer than `leakAfter`.
 *
 * @category models
 * @since 0.1.0
 */
export interface LeakReport {
  /** The name of the server. */
  readonly server: string
  /** The owner of the lease. */
  readonly owner: string
  /** The duration of the lease so far, in milliseconds. */
  readonly heldFor: number
  /** The span in which the lease was taken, if it was traced. */
  readonly span: Span | undefined
}

/**
 * Counts of a pool at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionPoolStats {
  /** Sessions, including those that are being opened or closed. */
  readonly total: number
  /** Sessions that are leased. */
  readonly active: number
  /** Open sessions without a lease. */
  readonly idle: number
  /** Callers that wait for a session. */
  readonly waiting: number
  /** The most sessions at a time. */
  readonly max: number
}

/**
 * No session became available within `acquireTimeout`. `timeout` is in milliseconds, the counts are those of
 * {@link SessionPoolStats}, and `lastError` is the latest failure of the server, if there was one.
 *
 * @category errors
 * @since 0.1.0
 */
export class AcquireTimeout
  extends Schema.TaggedError<AcquireTimeout>("@mcp-sessions/core/AcquireTimeout")("AcquireTimeout", {
    server: Schema.String,
    owner: Schema.String,
    timeout: Schema.Finite,
    total: Schema.Finite,
    active: Schema.Finite,
    idle: Schema.Finite,
    waiting: Schema.Finite,
    lastError: Schema.optional(SessionError)
  })
{
  override get message(): string {
    const { active, idle, lastError, server, timeout, total, waiting } = this
    const counts = `total ${total}, active ${active}, idle ${idle}, waiting ${waiting}`
    const cause = lastError === undefined ? "" : `; latest failure: ${lastError.message}`
    return `${server}: no session became available within ${timeout} ms (${counts})${cause}`
  }
}

/**
 * Sessions of one server that callers lease.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionPool {
  /** The name of the server. */
  readonly server: string
  /** Leases a session for as long as the scope. */
  readonly get: (
    options?: OwnerOptions
  ) => Effect.Effect<Session, SessionError | ConfigError | AcquireTimeout, Scope.Scope>
  /** Leases a session for as long as `f` runs. */
  readonly use: <A, E, R>(
    f: (session: Session) => Effect.Effect<A, E, R>,
    options?: OwnerOptions
  ) => Effect.Effect<A, E | SessionError | ConfigError | AcquireTimeout, R>
  /** Leases a session for one tool call. */
  readonly callTool: {
    <A>(
      tool: string,
      args: Record<string, unknown> | undefined,
      options: TypedCallOptions<A> & OwnerOptions
    ): Effect.Effect<A, SessionError | ConfigError | AcquireTimeout>
    (
      tool: string,
      args?: Record<string, unknown>,
      options?: CallToolOptions & OwnerOptions
    ): Effect.Effect<CallToolResult, SessionError | ConfigError | AcquireTimeout>
  }
  /** Reads the counts of the pool. */
  readonly stats: Effect.Effect<SessionPoolStats>
  /** Evicts all sessions that are open now: idle ones close at once, leased ones when they are returned. */
  readonly drain: Effect.Effect<void>
}

/**
 * Makes a pool that ends with the scope. Opens `min` sessions in the background, and fails with all problems of the options at once,
 * an unknown server included.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: SessionPoolOptions
): Effect.fn.Return<SessionPool, ConfigError, Sessions | Scope.Scope> {
  const sessions = yield* Sessions
  const checked = yield* checkPoolOptions({ options, exists: sessions.status })
  const { server } = checked
  const { drain, lease, stats } = yield* guardTelemetry(pool.make({
    options: checked,
    port: {
      open: (owner) => sessions.open(server, { owner }),
      identity: (owner) => identityOf({ service: sessions, server, owner }),
      telemetry: telemetryOf(server, yield* Effect.context<never>()),
      health: Effect.map(Effect.orDie(sessions.status(server)), ({ health }) => health)
    },
    timedOut: (fields) => new AcquireTimeout(fields)
  }))
  const get: SessionPool["get"] = (options) => {
    const given = checkCall(ownerRules, options, server)
    return given instanceof BadOptions ? Effect.fail(given.error) : lease(given?.owner ?? checked.owner)
  }
  // The scope of the lease is not that of `f`, whose resources belong to the caller's scope.
  const use: SessionPool["use"] = (f, options) =>
    Effect.scopedWith((scope) => Effect.flatMap(Scope.provide(get(options), scope), f))
  const callTool = (...[tool, args, options]: Parameters<SessionPool["callTool"]>) => {
    const given = checkCall(ownedCallRules, options, server)
    return given instanceof BadOptions
      ? Effect.fail(given.error)
      : use((session) => session.callTool(tool, args, withoutOwner(given)), { owner: given?.owner })
  }
  return {
    server,
    get,
    use,
    callTool: callTool as SessionPool["callTool"],
    stats,
    drain
  }
})
