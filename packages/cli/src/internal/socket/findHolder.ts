/**
 * Runs a command at the process that holds its sessions, if there is one. Loads nothing but Node.
 */
import process from "node:process"
import { findProjects, readPassed } from "./address.ts"
import { runAtHolder, warn } from "./client.ts"
import { heldCommandOf } from "./heldCommand.ts"
import { addressVariable } from "./variables.ts"

const { env } = process

/**
 * Runs a command at the holder that `with` named, or at that of the nearest directory, and resolves with its exit status. Resolves with `undefined`
 * if the command has to run here.
 */
export const runHeld = async (words: ReadonlyArray<string>): Promise<number | undefined> => {
  if (heldCommandOf(words) === undefined) return undefined
  const named = env[addressVariable]
  if (named !== undefined && named !== "") {
    const { address, unsafety } = readPassed(named)
    if (unsafety !== undefined) warn(`${addressVariable} is not used: ${unsafety}`, words)
    const status = address === undefined ? undefined : await runAtHolder({ address, words, project: undefined })
    if (status !== undefined) return status
  }
  for (const { address, project } of findProjects(process.cwd(), env)) {
    const status = await runAtHolder({ address, words, project })
    if (status !== undefined) return status
  }
  return undefined
}
