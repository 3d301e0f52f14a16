/**
 * Runs a command at the process that holds its sessions, or here. What a command does not need is not loaded.
 */
import process from "node:process"
import { keepCompiledCode } from "./compileCache.ts"
import { heldCommandOf } from "./socket/heldCommand.ts"

/** Runs the words of the command line and ends the process. */
export const main = async (words: ReadonlyArray<string>): Promise<void> => {
  if (heldCommandOf(words) !== undefined) {
    const { runHeld } = await import("./socket/findHolder.ts")
    const status = await runHeld(words)
    if (status !== undefined) process.exit(status)
  }
  keepCompiledCode()
  const [{ run }, { runMain }] = await Promise.all([import("../Cli.ts"), import("./runMain.ts")])
  runMain(run(words))
}
