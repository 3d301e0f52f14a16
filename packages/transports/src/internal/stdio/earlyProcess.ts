/**
 * A process that runs before anything asks for it. Loads nothing but Node.
 */
import process from "node:process"
import type { ProcessOptions } from "../../Processes.ts"
import { standardVariables, type Variables } from "../inheritedVariables.ts"
import { type Child, startChild } from "./processGroup.ts"

/** Returns the variables that a child inherits whose definition names none. */
export const inherited = (): Variables => standardVariables(process)

/** Starts a process. */
export class EarlyProcess {
  readonly options: ProcessOptions
  readonly #started: Promise<Child | undefined>
  #isTaken = false

  constructor(options: ProcessOptions) {
    this.options = options
    this.#started = new Promise((resolve) => {
      startChild(options, (started) => resolve(started instanceof Error ? undefined : started))
    })
  }

  /** Gives the process to the first caller, who has to end it. */
  async take(): Promise<Child | undefined> {
    if (this.#isTaken) return undefined
    this.#isTaken = true
    return this.#started
  }

  /** Ends the group of the process, unless it was taken. */
  async end(): Promise<void> {
    await (await this.take())?.close()
  }
}
