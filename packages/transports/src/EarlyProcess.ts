/**
 * A process of a stdio server that is started before the program is loaded. Loads nothing but Node.
 *
 * **When to use**
 *
 * For a program that knows what it will start, and takes about as long to load as its server takes to start.
 *
 * **Details**
 *
 * The process is ended like any other: its whole group in three steps, on the exit of this process, and by the watchdog if this process is
 * killed. Until it is taken, nothing is written to it, and what it writes waits.
 *
 * **Gotchas**
 *
 * Nothing has checked that the user trusts the program. Compare the `options` with those that `Processes` is asked to start.
 *
 * **Example** (Taking a process)
 *
 * ```ts import.meta.vitest
 * import { EarlyProcess } from "@mcp-sessions/transports"
 *
 * const early = EarlyProcess.start({
 *   command: "node",
 *   args: ["-e", "0"],
 *   env: EarlyProcess.inherited(),
 *   given: [],
 *   cwd: undefined
 * })
 * const taken = await early.take()
 * await taken?.exited // => { exitCode: 0, signal: null }
 * ```
 *
 * @since 0.1.0
 */
import * as Internal from "./internal/stdio/earlyProcess.ts"
import type { Process } from "./internal/stdio/processPort.ts"
import type { ProcessOptions } from "./Processes.ts"

/**
 * A process that was given to a caller, who has to end it.
 *
 * @category models
 * @since 0.1.0
 */
export interface TakenProcess extends Process {
  /** Ends the process group in at most three steps of 1 second. Never rejects. */
  readonly close: () => Promise<void>
}

/**
 * A process that was started early.
 *
 * @category models
 * @since 0.1.0
 */
export interface EarlyProcess {
  /** What was started. */
  readonly options: ProcessOptions
  /**
   * Resolves with the process for the first caller. `undefined`: the system could not start it, or it was taken or ended before.
   */
  readonly take: () => Promise<TakenProcess | undefined>
  /** Ends the process group, unless it was taken. Never rejects. */
  readonly end: () => Promise<void>
}

/**
 * Returns the variables of this process that a process inherits whose definition has neither `env` nor `inheritEnv`.
 *
 * @category getters
 * @since 0.1.0
 */
export const inherited = (): Readonly<Record<string, string>> => Internal.inherited()

/**
 * Starts a process. Does not fail: `take` of one that the system cannot start resolves with `undefined`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = (options: ProcessOptions): EarlyProcess => new Internal.EarlyProcess(options)
