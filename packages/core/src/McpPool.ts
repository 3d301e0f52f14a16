/**
 * Pool of sessions in the promise facade: its interface, its options, and how it is made.
 *
 * **Example** (Borrowing a session)
 *
 * ```ts import.meta.vitest
 * import { McpSessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 *
 * await using sessions = McpSessions.make({
 *   transports: Transports.layer,
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * })
 * await using pool = await sessions.pool({ server: "everything", max: 2 })
 * const tools = await pool.use((session) => session.listTools())
 * tools.some(({ name }) => name === "echo") // => true
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ConfigError } from "./ConfigError.ts"
import { BadOptions } from "./internal/config/callOptions.ts"
import { effectOptions, rules } from "./internal/facade/effectOptions.ts"
import { promiseCall, rejected } from "./internal/facade/promiseCall.ts"
import {
  facadeOf,
  type Plain,
  type Promised,
  type PromisedMember,
  type SignalOptions
} from "./internal/facade/promised.ts"
import type { Closeable, PromiseRuntime } from "./internal/facade/promiseRuntime.ts"
import type { PromiseSessions } from "./internal/facade/promiseSessions.ts"
import type { McpSession, PromisedCall } from "./McpSession.ts"
import type { SessionError } from "./SessionError.ts"
import type * as SessionPool from "./SessionPool.ts"
import type { OwnerOptions } from "./Sessions.ts"

/**
 * Options of a pool: those of {@link SessionPool.SessionPoolOptions}, without its report of leaks.
 *
 * @category models
 * @since 0.1.0
 */
export type PoolOptions = Plain<Omit<SessionPool.SessionPoolOptions, "onLeak">>

/**
 * A {@link SessionPool.SessionPool} in promises. Closing it closes its sessions.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpPool extends Promised<Pick<SessionPool.SessionPool, "drain" | "stats">>, Closeable {
  /** Borrows a session for one tool call; with a `schema`, gives the validated structured content of the result. */
  readonly callTool: PromisedCall<[], OwnerOptions>
  /** Borrows a session while `f` runs. */
  readonly use: <A>(f: (session: McpSession) => Promise<A>, options?: OwnerOptions & SignalOptions) => Promise<A>
}

const poolOf = facadeOf<Pick<SessionPool.SessionPool, "drain" | "stats">>({ drain: 0, stats: 0 })

/**
 * Makes a pool in promises of one in effects.
 *
 * @internal
 */
export const make = <R, E>({ closeable, pool, runtime, sessions: { lend, runnerOf } }: {
  readonly pool: SessionPool.SessionPool
  readonly runtime: PromiseRuntime<R, E | SessionPool.AcquireTimeout | ConfigError | SessionError>
  readonly sessions: PromiseSessions<E | SessionPool.AcquireTimeout | ConfigError | SessionError>
  readonly closeable: Closeable
}): McpPool => {
  const { server } = pool
  const callTool = (...[tool, args, options]: Parameters<PromisedMember<SessionPool.SessionPool["callTool"]>>) =>
    promiseCall(runtime, {
      caller: { server },
      rules: rules.ownedCall,
      tool,
      options,
      call: (checked) => pool.callTool(tool, args, checked),
      start: () => undefined
    })
  const use: McpPool["use"] = (f, options) => {
    const checked = effectOptions<OwnerOptions>({ rules: rules.owner, options, server })
    return checked instanceof BadOptions
      ? rejected(checked)
      : runtime.run(Effect.suspend(() => pool.use((session) => lend(session, f), checked)), { server }, options)
  }
  return poolOf({
    source: pool,
    runner: runnerOf({ server }),
    more: { callTool: callTool as McpPool["callTool"], use, ...closeable }
  })
}
