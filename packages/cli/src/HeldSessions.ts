/**
 * Sessions that are open before a command starts, and stay open after it.
 *
 * Commands use held sessions in place of their own and do not know the difference. `with` and `up` hold sessions for the commands that reach
 * them over a socket.
 *
 * **Example** (Telling whether sessions are held)
 *
 * ```ts import.meta.vitest
 * import { HeldSessions } from "@mcp-sessions/cli/HeldSessions"
 * import { Effect } from "effect"
 *
 * Effect.runSync(Effect.map(HeldSessions, (held) => held === undefined)) // => true
 * ```
 *
 * @since 0.1.0
 */
import type { Sessions } from "@mcp-sessions/core/Sessions"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Configured } from "./Configured.ts"
import type { LogBook } from "./LogBook.ts"
import type { Switchboard } from "./Questions.ts"

/**
 * The process that holds sessions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Holder {
  readonly command: "with" | "up" | "shell"
  /** The directory that the sessions are held for. */
  readonly project: string
  readonly pid: number
  /** The age of the holder, in milliseconds. */
  readonly uptime: Effect.Effect<number>
  /** The names of the held servers. */
  readonly servers: ReadonlyArray<string>
  /** The number of the latest connection to a server, and its age in milliseconds while it is open. */
  readonly connection: (server: string) => Effect.Effect<{
    readonly generation: number
    readonly age: number | undefined
  }>
  /** Releases all sessions and ends the holder. Succeeds when everything is released. */
  readonly stop: Effect.Effect<void>
}

/**
 * Held sessions as one command sees them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Held {
  /** All configured servers, also those without a held session. */
  readonly configured: Configured
  readonly sessions: Sessions["Service"]
  /** Hands the questions of servers to the commands. */
  readonly switchboard: Switchboard
  /** What the servers have logged. */
  readonly logs: LogBook
  /** Runs before a command uses sessions of servers. Does not return if one of them is not held: then the caller runs the command by itself. */
  readonly use: (servers: ReadonlyArray<string>) => Effect.Effect<void>
  /** Runs before a refusal of a command is reported. Does not return if the caller has to run the command by itself. */
  readonly refuse: Effect.Effect<void>
  readonly holder: Holder
}

/**
 * Reference to the held sessions of a command. Default: `undefined`, and each command opens sessions of its own.
 *
 * @category references
 * @since 0.1.0
 */
export const HeldSessions: Context.Reference<Held | undefined> = Context.Reference<Held | undefined>(
  "@mcp-sessions/cli/HeldSessions",
  { defaultValue: () => undefined }
)
