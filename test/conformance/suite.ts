/**
 * Runs the official conformance suite on the client of this folder: `suite.ts [ARGUMENT…]`, by default all that both revisions require.
 *
 * All scenarios run in this process, which loads the session layer once.
 */
import { execFile } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
import { runScenario } from "./scenario.ts"

const suite = createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/dist/index.js")
const client = fileURLToPath(new URL("client.mjs", import.meta.url))
const expectedFailures = fileURLToPath(new URL("expectedFailures.yml", import.meta.url))

/** What the suite says at its end. */
export interface Outcome {
  readonly code: number | null
  readonly output: string
}

/** Listens for clients until the suite has ended. */
const listen = async () => {
  const directory = await mkdtemp(join(tmpdir(), "conformance-"))
  const path = join(directory, "socket")
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    // The suite ends a client that takes too long.
    socket.on("error", () => {})
    const outcome = text(socket).then((json) => runScenario(JSON.parse(json))).then(() => "", (error) => inspect(error))
    socket.end(await outcome)
  })
  server.listen(path)
  await once(server, "listening")
  return {
    path,
    close: async () => {
      server.close()
      await rm(directory, { recursive: true })
    }
  }
}

/** Runs the suite with arguments such as `--requirements 2025-11-25`. No failure is expected. */
export const runSuite = async (...args: ReadonlyArray<string>): Promise<Outcome> => {
  const { close, path } = await listen()
  const command = ["client", "--command", `${process.execPath} ${client}`, "--expected-failures", expectedFailures]
  const outcome = await new Promise<Outcome>((resolve) => {
    const child = execFile(
      process.execPath,
      [suite, ...command, "--verbose", ...args],
      { env: { ...process.env, CONFORMANCE_SOCKET: path }, maxBuffer: 64 * 1024 * 1024 },
      (_, stdout, stderr) => resolve({ code: child.exitCode, output: stderr + stdout })
    )
  })
  await close()
  return outcome
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  const runs = args.length > 0 ? [args] : [["--requirements", "2025-11-25"], ["--requirements", "2026-07-28"]]
  for (const run of runs) {
    const { code, output } = await runSuite(...run)
    console.log(output.slice(Math.max(0, output.indexOf("=== SUITE SUMMARY ==="))))
    if (code !== 0) process.exitCode = 1
  }
}
