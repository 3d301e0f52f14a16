/**
 * Runs a command at the process that holds its sessions, or here. What a command does not need is not loaded.
 */
import { constants } from "node:os"
import process from "node:process"
import { keepCompiledCode } from "./compileCache.ts"
import { endProcess } from "./endProcess.ts"
import { onSignal } from "./signals.ts"
import { heldCommandOf } from "./socket/heldCommand.ts"
import { wantsJson } from "./words.ts"

/** Runs the words of the command line and ends the process. */
export const main = async (words: ReadonlyArray<string>): Promise<void> => {
  if (heldCommandOf(words) !== undefined) {
    const { runHeld } = await import("./socket/findHolder.ts")
    const status = await runHeld(words)
    if (status !== undefined) return endProcess(status)
  }
  keepCompiledCode()
  // Until the command handles signals, one ends the process, and with it what was started early.
  onSignal((signal) => process.exit(128 + constants.signals[signal]))
  const launch = words.includes("call") ? (await import("./launch/startEarly.ts")).startEarly(words) : undefined
  const loaded = await Promise.all([import("../Cli.ts"), import("./runMain.ts"), import("./launch/runLaunch.ts")])
  const [{ run }, { runMain }, { runLaunch }] = loaded
  runMain(runLaunch(launch)(run(words)), { json: wantsJson(words) })
}
