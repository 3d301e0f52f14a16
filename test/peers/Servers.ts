/**
 * The servers that faults are tried on, what they wrote down, and the processes that are left of them.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { isAlive } from "../fixtures/peer.ts"
import type { ServerOf } from "./Peer.ts"

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

/** A directory with the ledger that servers write. Its path is among the arguments of every process started for it. */
export interface Place {
  readonly directory: string
  readonly file: string
  /** Reads the lines of the ledger that begin with a word, without that word. */
  readonly read: (word: string) => ReadonlyArray<string>
  /** How long to wait after a client closed before its processes are counted: some clients start servers then. In milliseconds. */
  readonly settle: number
}

export const makeDirectory = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "faults-"))
  writeFileSync(join(directory, "ledger"), "")
  return directory
}

export const placeOf = (directory: string, settle: number): Place => {
  const file = join(directory, "ledger")
  return {
    directory,
    file,
    settle,
    read: (word) =>
      (existsSync(file) ? readFileSync(file, "utf8") : "").split("\n")
        .filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1))
  }
}

/** Finds the processes that have a directory among their arguments, also when their parents have gone. */
export const processesIn = (directory: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(directory) && isAlive(pid)
    } catch {
      // It ended in between.
      return false
    }
  })

/** Removes a directory and kills the processes that are left of it, each by its id. */
export const clear = (directory: string): void => {
  rmSync(directory, { recursive: true, force: true })
  for (const pid of processesIn(directory)) {
    try {
      process.kill(Number(pid), "SIGKILL")
    } catch {
      // It ended by itself.
    }
  }
}

/** Waits until a condition holds or the time is over; resolves with whether it holds. */
export const holdsWithin = async (millis: number, holds: () => boolean): Promise<boolean> => {
  const end = performance.now() + millis
  while (!holds()) {
    if (performance.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}

export const stdioServer = ({ file }: Place, ...words: ReadonlyArray<string>): ServerOf => ({
  kind: "stdio",
  command: process.execPath,
  args: [fixture("stdio.mjs"), file, ...words]
})

/** Puts a shell that waits around a server, as launchers of packages do. */
export const wrapped = ({ file }: Place, ...words: ReadonlyArray<string>): ServerOf => {
  const quoted = [process.execPath, fixture("stdio.mjs"), file, ...words].map((word) => `"${word}"`)
  return { kind: "stdio", command: "sh", args: ["-c", `${quoted.join(" ")}; true`] }
}

export const httpServer = async ({ file }: Place, ...words: ReadonlyArray<string>) => {
  const start = async (port: string): Promise<readonly [ChildProcess, string]> => {
    const child = spawn(process.execPath, [fixture("http.mjs"), file, port, ...words], {
      stdio: ["pipe", "pipe", "inherit"]
    })
    const [line] = await once(createInterface(child.stdout), "line")
    return [child, String(line)]
  }
  let [child, port] = await start("0")
  return {
    server: { kind: "http", url: `http://127.0.0.1:${port}/mcp` } as const,
    /** Makes it forget all its sessions. */
    forget: async () => {
      const [response] = await once(request(`http://127.0.0.1:${port}/forget`, { method: "POST" }).end(), "response")
      response.resume()
    },
    /** Kills it and starts it again at the same address. */
    restart: async () => {
      child.kill("SIGKILL")
      await once(child, "exit")
      child = (await start(port))[0]
    }
  }
}
