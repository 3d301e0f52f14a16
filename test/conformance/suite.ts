/**
 * Runs the official conformance suite on the client of this folder: `suite.ts [ARGUMENT…]`, by default all that both revisions require.
 *
 * All scenarios run in this process, which loads the session layer once.
 */
import { execFile, execFileSync } from "node:child_process"
import { constants, createReadStream } from "node:fs"
import { mkdtemp, open, readFile, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
import { runScenario } from "./scenario.ts"

const suite = createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/dist/index.js")
const client = fileURLToPath(new URL("client.sh", import.meta.url))
const expectedFailures = fileURLToPath(new URL("expectedFailures.yml", import.meta.url))

/** What the suite says at its end. */
export interface Outcome {
  readonly code: number | null
  readonly output: string
}

/** Longer than a scenario takes on a busy machine, on which the suite starts all clients at the same time. In milliseconds. */
const scenarioTimeout = "90000"

/** Runs the scenario of a client, and replies with a line: empty, or the failure. */
const serve = async (request: string): Promise<void> => {
  const [url = "", name = "", revision = "", context = ""] = (await readFile(request, "utf8")).split("\n")
  const scenario = { url, name, revision, context: JSON.parse(context || "{}") }
  const failure = await runScenario(scenario).then(() => "", (error) => JSON.stringify(inspect(error)))
  const reply = await open(`${request}.reply`, constants.O_WRONLY | constants.O_NONBLOCK).catch((error) => {
    // The suite has ended a client that took too long.
    if (error.code === "ENXIO") return undefined
    throw error
  })
  await reply?.writeFile(`${failure}\n`)
  await reply?.close()
}

/** Listens for clients until the suite has ended. */
const listen = async () => {
  const directory = await mkdtemp(join(tmpdir(), "conformance-"))
  const requests = join(directory, "requests")
  execFileSync("mkfifo", [requests])
  // Open for both, so that it does not end with a client.
  const input = createReadStream(requests, { flags: "r+" })
  createInterface(input).on("line", (id) => {
    if (id !== "") void serve(join(directory, id))
  })
  return {
    directory,
    close: async () => {
      // A read is under way, which only a write ends.
      const writer = await open(requests, "r+")
      input.destroy()
      await writer.writeFile("\n")
      await writer.close()
      await rm(directory, { recursive: true })
    }
  }
}

/** Runs the suite with arguments such as `--requirements 2025-11-25`. No failure is expected. */
export const runSuite = async (...args: ReadonlyArray<string>): Promise<Outcome> => {
  const { close, directory } = await listen()
  const command = ["client", "--command", `sh ${client}`, "--expected-failures", expectedFailures]
  const outcome = await new Promise<Outcome>((resolve) => {
    const child = execFile(
      process.execPath,
      [suite, ...command, "--verbose", "--timeout", scenarioTimeout, ...args],
      { env: { ...process.env, CONFORMANCE_DIRECTORY: directory }, maxBuffer: 64 * 1024 * 1024 },
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
