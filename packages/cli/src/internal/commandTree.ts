/**
 * The commands and flags of this program. The bundle holds them as data in place of this module, so that a completion does not load the commands.
 */
import type { CommandDescriptor } from "effect/cli/Completions"
import * as Effect from "effect/Effect"
import { tree } from "../Cli.ts"

export const commandTree: CommandDescriptor = await Effect.runPromise(tree)
