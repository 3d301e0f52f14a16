/**
 * The command line itself, for commands that run other commands.
 *
 * @since 0.1.0
 */
import type { CommandDescriptor } from "effect/cli/Completions"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Invocation } from "./Invocation.ts"

/**
 * Service that runs commands, and knows the words of the current one.
 *
 * @category services
 * @since 0.1.0
 */
export class CommandLine extends Context.Service<CommandLine, {
  /** The words of the current command as they were written, `--` included. */
  readonly words: ReadonlyArray<string>
  /** Describes all commands and their flags. */
  readonly tree: Effect.Effect<CommandDescriptor>
  /** Runs the command line with other words. Prints its failures and succeeds with the exit status. */
  readonly run: (words: ReadonlyArray<string>) => Effect.Effect<number, never, Invocation>
}>()("@mcp-sessions/cli/CommandLine") {}
