/**
 * Runs `programs/smoke.mjs`, or a bundle of it, and compares what it prints with what its servers have counted.
 */
import { strictEqual } from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { output } from "./project.ts"

const server = join(import.meta.dirname, "programs/server.mjs")

const printed = "stdio http websocket streamed halfway ConnectionRefused ConnectionRefused BlockedAddress"

/** In order of the alphabet: the three servers close beside each other. Each call ran once, and each session ended. */
const counted = `call echo http
call echo stdio
call echo websocket
call slow streamed
close 1000
delete smoke
end
open
start
start`

/** Runs a program with a runtime: the words before its name. */
export const smoke = async (
  ...[runtime, program, directory]: readonly [runtime: ReadonlyArray<string>, program: string, directory: string]
): Promise<void> => {
  const ledger = join(directory, "ledger.txt")
  await writeFile(ledger, "")
  const net = spawn(process.execPath, [server, ledger, "net"], { stdio: ["pipe", "pipe", "inherit"] })
  try {
    const [port] = await once(net.stdout, "data")
    const words = [...runtime, program, process.execPath, server, ledger, String(port).trim()]
    strictEqual(await output(words, { cwd: directory }), `${printed}\n`)
    net.stdin.end()
    await once(net, "close")
    strictEqual((await readFile(ledger, "utf8")).trim().split("\n").toSorted().join("\n"), counted)
  } finally {
    net.kill()
  }
}
