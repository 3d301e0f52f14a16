/**
 * The end of the process: all that was printed reaches a reader that is slower than the program.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { fixture, makeLedger } from "../fixtures/peer.ts"
import { workplace } from "./cli.ts"

const root = join(import.meta.dirname, "../..")

/** Reads a stream of a process to its end, a small piece in each turn of the event loop. */
const readSlowly = async (stream: ChildProcess["stdout"]): Promise<number> => {
  let length = 0
  for await (const chunk of stream ?? []) {
    length += (chunk as Uint8Array).length
    await new Promise((resolve) => setImmediate(resolve))
  }
  return length
}

const ends = (child: ChildProcess) =>
  Effect.promise(async () => child.exitCode ?? (await once(child, "exit"))[0] as number)

describe("the end of the process", () => {
  it.live("comes after an unexpected error of any length is written", () =>
    Effect.gen(function*() {
      const runMain = pathToFileURL(`${root}/packages/cli/src/internal/runMain.ts`)
      const script = `
        import { runMain } from "${runMain}"
        import { Effect } from "effect"
        runMain(Effect.die("x".repeat(4 * 1024 ** 2)), { json: false })
      `
      const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { cwd: root })
      const length = yield* Effect.promise(() => readSlowly(child.stderr))
      assert.isAbove(length, 4 * 1024 ** 2)
      assert.strictEqual(yield* ends(child), 1)
    }))

  it.live("comes after a large result and large errors are written", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const { start, write } = yield* workplace
      write("mcp-sessions.json", {
        servers: { good: { command: process.execPath, args: [fixture("stdioServer.ts"), "v2", file] } }
      })
      const message = "x".repeat(4 * 1024 ** 2)
      const calling = start(["call", "good/echo", "--args", "-", "--json"])
      calling.stdin?.end(JSON.stringify({ message }))
      assert.isAbove(yield* Effect.promise(() => readSlowly(calling.stdout)), message.length)
      assert.strictEqual(yield* ends(calling), 0)
      const unknown = Array.from({ length: 4000 }, (_, index) => `${"n".repeat(200)}${index}`)
      const checking = start(["check", ...unknown])
      assert.isAbove(yield* Effect.promise(() => readSlowly(checking.stderr)), 4000 * 200)
      assert.strictEqual(yield* ends(checking), 2)
    }))
})
