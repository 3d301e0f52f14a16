/**
 * The servers that faults are tried on: started, killed, found when they are left behind, and what they wrote down.
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

export const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

/** A directory with the ledger that servers write. All of them, and their children, have it among their words. */
export const makePlace = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "faults-"))
  writeFileSync(join(directory, "ledger"), "")
  return directory
}

const wordsOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
  } catch {
    // It ended between the two looks.
    return ""
  }
}

/** The processes that have a place among their words: they are known by it even when their parents have gone. */
export const processesIn = (place: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) =>
    /^\d+$/.test(pid) && pid !== String(process.pid) && wordsOf(pid).includes(place) && isAlive(pid)
  )

/** Ends what is left of a place, each by its id. */
export const clear = (place: string): void => {
  rmSync(place, { recursive: true, force: true })
  for (const pid of processesIn(place)) {
    try {
      process.kill(Number(pid), "SIGKILL")
    } catch {
      // It ended by itself.
    }
  }
}

/** Waits until a condition holds, as long as that is allowed to take; tells whether it came to hold. */
export const holdsWithin = async (millis: number, holds: () => boolean): Promise<boolean> => {
  const end = performance.now() + millis
  while (!holds()) {
    if (performance.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}

export interface Ledger {
  readonly file: string
  /** The lines that begin with a word, without it. */
  readonly read: (word: string) => ReadonlyArray<string>
}

export const ledgerOf = (place: string): Ledger => {
  const file = join(place, "ledger")
  return {
    file,
    read: (word) =>
      (existsSync(file) ? readFileSync(file, "utf8") : "").split("\n").filter((line) => line.startsWith(`${word} `))
        .map((line) => line.slice(word.length + 1))
  }
}

export const stdioServer = (ledger: Ledger, ...words: ReadonlyArray<string>): ServerOf => ({
  kind: "stdio",
  command: process.execPath,
  args: [fixture("stdio.mjs"), ledger.file, ...words]
})

/** The same behind a shell that waits for it, as launchers of packages do. */
export const wrapped = (ledger: Ledger, ...words: ReadonlyArray<string>): ServerOf => {
  const quoted = [process.execPath, fixture("stdio.mjs"), ledger.file, ...words].map((word) => `"${word}"`)
  return { kind: "stdio", command: "sh", args: ["-c", `${quoted.join(" ")}; true`] }
}

export interface HttpServer {
  readonly server: ServerOf
  /** Has it know no session any more. */
  readonly forget: () => Promise<void>
  /** Kills it and starts it again at the same address. */
  readonly restart: () => Promise<void>
}

export const httpServer = async (ledger: Ledger, ...words: ReadonlyArray<string>): Promise<HttpServer> => {
  const start = async (port: string): Promise<readonly [ChildProcess, string]> => {
    const child = spawn(process.execPath, [fixture("http.mjs"), ledger.file, port, ...words], {
      stdio: ["pipe", "pipe", "inherit"]
    })
    const [line] = await once(createInterface(child.stdout), "line")
    return [child, String(line)]
  }
  let [child, port] = await start("0")
  return {
    server: { kind: "http", url: `http://127.0.0.1:${port}/mcp` },
    forget: async () => {
      const [response] = await once(request(`http://127.0.0.1:${port}/forget`, { method: "POST" }).end(), "response")
      response.resume()
    },
    restart: async () => {
      child.kill("SIGKILL")
      await once(child, "exit")
      child = (await start(port))[0]
    }
  }
}
