/**
 * Tasks of `serve --stdio`, for a client that writes its messages itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createInterface } from "node:readline"
import { initialize } from "../fixtures/gateway.ts"
import { tasksCapability } from "../fixtures/modernRequest.ts"
import { fixture } from "../fixtures/peer.ts"
import { workplace } from "./cli.ts"

type Values = Readonly<Record<string, unknown>>

interface Message {
  readonly id?: number
  readonly result?: Values
}

const done = { status: "completed", result: { content: [], structuredContent: { count: 1 } } }

const call = { name: "task", arguments: { statuses: [{ status: "working" }, done] } }

const _meta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "bare", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": tasksCapability
}

/** Starts `serve` over a server that runs its tool as a task, and sends requests on its standard input. */
const startServe = Effect.gen(function*() {
  const place = yield* workplace
  place.write("mcp-sessions.json", {
    servers: { only: { command: process.execPath, args: [fixture("modernStdio.ts"), "tasks"] } }
  })
  const child = place.start(["--trust", "serve", "--stdio"])
  yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
  const waiting = new Map<number, (result: Values) => void>()
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { id = 0, result = {} } = JSON.parse(line) as Message
      waiting.get(id)?.(result)
    })
  }
  let last = 0
  return (method: string, params: object) =>
    Effect.callback<Values>((resume) => {
      const id = ++last
      waiting.set(id, (result) => resume(Effect.succeed(result)))
      child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`)
    })
})

describe("serve on standard streams", () => {
  it.live("gives a client of 2026-07-28 the handle and the states of a task", () =>
    Effect.gen(function*() {
      const send = yield* startServe
      const { resultType, taskId } = yield* send("tools/call", { ...call, _meta })
      assert.strictEqual(resultType, "task")
      const { result } = yield* send("tasks/get", { taskId, _meta }).pipe(
        Effect.repeat({ until: ({ status }) => status === "completed" })
      )
      assert.deepInclude(result, { structuredContent: { count: 1 } })
    }))

  it.live("gives a client of 2025-11-25 a task of a server of 2026-07-28", () =>
    Effect.gen(function*() {
      const send = yield* startServe
      yield* send("initialize", initialize.params)
      const { task } = yield* send("tools/call", { ...call, task: { ttl: 60_000 } })
      const { taskId } = task as { readonly taskId: string }
      const result = yield* send("tasks/result", { taskId })
      assert.deepInclude(result, { structuredContent: { count: 1 } })
      assert.deepInclude(yield* send("tasks/get", { taskId }), { taskId, status: "completed" })
    }))
})
