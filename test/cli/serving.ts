/**
 * Processes of `serve` over one server with a ledger.
 */
import { Effect, type Scope } from "effect"
import { once } from "node:events"
import { fixture, makeLedger, until } from "../fixtures/peer.ts"
import { workplace } from "./cli.ts"

export const servers = (file: string) => ({
  servers: { only: { command: process.execPath, args: [fixture("stdioServer.ts"), "v1", file] } }
})

/** Starts processes with the same files in one place, and waits for their URLs. */
export const serving = (
  words: ReadonlyArray<ReadonlyArray<string>>,
  { env = {}, files = {} }: {
    readonly env?: Record<string, string>
    readonly files?: Readonly<Record<string, string>>
  } = {}
) =>
  Effect.gen(function*() {
    const { file, read } = yield* makeLedger
    const place = yield* workplace
    place.write("mcp-sessions.json", servers(file))
    for (const [name, content] of Object.entries(files)) place.write(name, content)
    const processes = yield* Effect.forEach(words, (own) =>
      Effect.gen(function*() {
        const child = place.start(["serve", ...own], env)
        yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
        const exited = once(child, "exit")
        let [stdout, stderr] = ["", ""]
        child.stdout?.setEncoding("utf8").on("data", (chunk: string) => stdout += chunk)
        child.stderr?.setEncoding("utf8").on("data", (chunk: string) => stderr += chunk)
        yield* until(() => stdout, (text) => text.includes("\n"))
        return { child, url: stdout.trim(), stderr: () => stderr, exited: Effect.promise(() => exited) }
      }), { concurrency: "unbounded" })
    return { processes, ledger: read }
  }) satisfies Effect.Effect<unknown, never, Scope.Scope>
