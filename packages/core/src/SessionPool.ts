/**
 * Several sessions of one server, lent out: for servers whose sessions can do one thing at a time, and for many identities on few
 * sessions.
 *
 * **When to use**
 *
 * Most programs need no pool. One session carries any number of calls at the same time, `Sessions` shares it already, and a server
 * without sessions of its own (2026-07-28 over HTTP) has nothing that could be pooled. A pool is for servers that keep state for each session
 * which others must not meddle with (a browser, a transaction, a working directory), for stdio servers that answer one request after the
 * other, and where many owners act at a server that takes few sessions.
 *
 * **Details**
 *
 * A borrower gets an idle session of its own identity, else a new one while there are fewer than `max`, else the place of one that
 * lay idle longest, else it waits: first come, first served, for `acquireTimeout` at most. A session is never lent to another identity
 * than the one that it was opened as. With `concurrency` above 1 a session is lent to so many borrowers at a time.
 *
 * What comes back is lent again unless its connection was lost or replaced meanwhile, or is too old. A borrower that is interrupted
 * cancels its calls and gives its session back like any other. After `validateAfter` of idling a session has to give a sign of life
 * before it is lent. Where the credentials of an owner change, its sessions are not lent any more and close as they come back.
 *
 * **Gotchas**
 *
 * State that a server keeps for a session outlives the loan. A handle is of no use after it: all calls fail with `SessionClosed`.
 *
 * **Example** (Borrowing a session)
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
import type * as Scope from "effect/Scope"
import type { Span } from "effect/Tracer"
import type { ConfigError } from "./ConfigError.ts"
import * as pool from "./internal/pool/pool.ts"
import { checkPoolOptions } from "./internal/pool/poolOptions.ts"
import { using } from "./internal/using.ts"
import type { CallToolResult } from "./Mcp.ts"
import type { CallToolOptions, Session } from "./Session.ts"
import { SessionError } from "./SessionError.ts"
import { type OwnerOptions, Sessions } from "./Sessions.ts"

/**
 * Options of a pool.
 *
 * | option           | meaning                                                              | default    | bounds                         | why                                              |
 * | ---------------- | -------------------------------------------------------------------- | ---------- | ------------------------------ | ------------------------------------------------ |
 * | `server`         | the name of the server                                               |            |                                |                                                  |
 * | `owner`          | who borrows, where the borrower does not say                         | default    |                                |                                                  |
 * | `max`            | sessions at a time, those that are being opened or closed among them | 10         | 1 to 10000                     | what the server takes                            |
 * | `min`            | sessions of `owner` that are kept open                               | 0          | 0 to `max`                     | starting takes time                              |
 * | `concurrency`    | borrowers of one session at a time; 1: each has it alone             | 1          | 1 to 10000                     | with more there is less to open, and no isolation |
 * | `acquireTimeout` | how long a borrower waits                                            | 5 seconds  | 1 millis to 1 hour             | whoever waits longer had better be told          |
 * | `idleTimeToLive` | how long a session lies idle                                         | 5 minutes  | 0 to 24 hours                  | servers have limits too                          |
 * | `maxLifetime`    | how old a session may get, less up to 2.5 % by chance; 0: any age    | 30 minutes | 0, or from `idleTimeToLive` to 30 days | load balancers, leaks of servers         |
 * | `validateAfter`  | how long one may idle and be lent without a sign of life             | 30 seconds | 0 to 24 hours                  | the death of a server is not always told         |
 * | `leakAfter`      | after how long a loan is reported, once; 0: never                    | 1 hour     | 0 to 30 days                   | a session that never comes back is lost to all   |
 * | `onLeak`         | what becomes of the report                                           | a warning in the log |                      |                                                  |
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionPoolOptions {
  readonly server: string
  readonly owner?: string | undefined
  readonly max?: number | undefined
  readonly min?: number | undefined
  readonly concurrency?: number | undefined
  readonly acquireTimeout?: Duration.Input | undefined
  readonly idleTimeToLive?: Duration.Input | undefined
  readonly maxLifetime?: Duration.Input | undefined
  readonly validateAfter?: Duration.Input | undefined
  readonly leakAfter?: Duration.Input | undefined
  readonly onLeak?: ((report: LeakReport) => Effect.Effect<void>) | undefined
}

/**
 * A loan that has lasted longer than it should. `heldFor` in milliseconds; `span` is where it was taken, if that was traced.
 *
 * @category models
 * @since 0.1.0
 */
export interface LeakReport {
  readonly server: string
  readonly owner: string
  readonly heldFor: number
  readonly span: Span | undefined
}

/**
 * How a pool is filled. `total` counts sessions, those that are being opened or closed among them; `active` those that are lent; `idle`
 * those that could be; `waiting` counts borrowers.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionPoolStats {
  readonly total: number
  readonly active: number
  readonly idle: number
  readonly waiting: number
  readonly max: number
}

/**
 * No session could be had in time. `timeout` in milliseconds, the others as in {@link SessionPoolStats}; `lastError` is the latest
 * failure of the server, if there was one.
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
    const filled = `total ${total}, active ${active}, idle ${idle}, waiting ${waiting}`
    const before = lastError === undefined ? "" : `; the latest failure: ${lastError.message}`
    return `${server}: no session within ${timeout} ms (${filled})${before}`
  }
}

/**
 * Sessions of one server, lent out.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionPool {
  readonly server: string
  /** Borrows a session for as long as the scope. */
  readonly get: (
    options?: OwnerOptions
  ) => Effect.Effect<Session, SessionError | ConfigError | AcquireTimeout, Scope.Scope>
  /** Borrows a session for as long as `f` runs. */
  readonly use: <A, E, R>(
    f: (session: Session) => Effect.Effect<A, E, R>,
    options?: OwnerOptions
  ) => Effect.Effect<A, E | SessionError | ConfigError | AcquireTimeout, R>
  /** Borrows a session for one tool call. */
  readonly callTool: (
    tool: string,
    args?: Record<string, unknown>,
    options?: CallToolOptions & OwnerOptions
  ) => Effect.Effect<CallToolResult, SessionError | ConfigError | AcquireTimeout>
  /** How it is filled. */
  readonly stats: Effect.Effect<SessionPoolStats>
  /** Lends no session again that there is by now. Those that are idle close at once, the others as they come back. */
  readonly drain: Effect.Effect<void>
}

/**
 * Makes a pool that ends with the scope. Opens nothing but `min` sessions, and does not wait for those. Fails with all that is wrong
 * with its options, an unknown server among it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: SessionPoolOptions
): Effect.fn.Return<SessionPool, ConfigError, Sessions | Scope.Scope> {
  const sessions = yield* Sessions
  const checked = yield* checkPoolOptions(options)
  const { borrow, drain, stats } = yield* pool.make({
    ...checked,
    sessions,
    timedOut: (fields) => new AcquireTimeout(fields)
  })
  const get: SessionPool["get"] = (options) => borrow(options?.owner ?? checked.owner)
  const use: SessionPool["use"] = (f, options) => using({ acquire: get(options), use: f })
  return {
    server: options.server,
    get,
    use,
    callTool: (tool, args, options) =>
      use((session) => session.callTool(tool, args, options), { owner: options?.owner }),
    stats,
    drain
  }
})
