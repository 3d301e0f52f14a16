/**
 * What the servers wrote down: which calls ran, and what happened to them. Nobody else writes there.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export class Journal {
  readonly directory = mkdtempSync(join(tmpdir(), "soak-"))

  constructor() {
    for (const file of ["calls", "journal"]) writeFileSync(join(this.directory, file), "")
  }

  /** How often each call of a tool ran, by the id of the call. */
  runs(tool: string): ReadonlyMap<number, number> {
    const runs = new Map<number, number>()
    for (const line of this.#read("calls")) {
      const [name, id] = line.split(" ")
      if (name === tool) runs.set(Number(id), (runs.get(Number(id)) ?? 0) + 1)
    }
    return runs
  }

  /** The processes that a server was, in the order of their starts. */
  pids(server: string): ReadonlyArray<number> {
    const start = `${server} process `
    return this.#read("journal").filter((line) => line.startsWith(start)).map((line) =>
      Number(line.slice(start.length))
    )
  }

  /** How many requests, connections and starts reached servers that do nothing but fail. */
  reached(): number {
    return this.#read("journal").filter((line) => line.endsWith(" reached")).length
  }

  /** Has the stdio server exit as soon as it is started, or not any more. */
  setDown(isDown: boolean): void {
    const file = join(this.directory, "down")
    if (isDown) writeFileSync(file, "")
    else rmSync(file, { force: true })
  }

  remove(): void {
    rmSync(this.directory, { recursive: true })
  }

  #read(file: string): ReadonlyArray<string> {
    return readFileSync(join(this.directory, file), "utf8").split("\n")
  }
}

/** Whether a process is there and not merely waiting to be collected. */
export const isAlive = (pid: number): boolean => {
  const stat = `/proc/${pid}/stat`
  try {
    return existsSync(stat) && readFileSync(stat, "utf8").replace(/^.*\) /, "")[0] !== "Z"
  } catch {
    // Gone between the two looks.
    return false
  }
}
