/**
 * The end and the limits of `serve --stdio`, for a client that writes and reads its lines itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { call, initialize } from "../fixtures/gateway.ts"
import { until } from "../fixtures/peer.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import { workplace } from "./cli.ts"

interface Message {
  readonly id: number | null
  readonly method?: string
  readonly result?: { readonly content?: ReadonlyArray<{ readonly text: string }> }
  readonly error?: { readonly code: number; readonly message: string }
}

/** Starts a server whose tool answers once it is told, with a text of a size or with a question to the client. */
const startServer = Effect.gen(function*() {
  const waiting: Array<(size: number) => void> = []
  const server = yield* Http.start(({ message: { id, method, params }, response }) => {
    const answer = (value: unknown, headers = {}) => Http.json(response, Http.result(id, value), headers)
    if (method === "initialize") {
      answer({
        protocolVersion: "2025-11-25",
        capabilities: { tools: {} },
        serverInfo: { name: "waits", version: "1" }
      }, { "mcp-session-id": "one" })
    } else if (method === "tools/list") {
      answer({ tools: [{ name: "wait", inputSchema: { type: "object" } }] })
    } else if (method === "tools/call" && params?.name === "wait") {
      waiting.push((size) => Http.json(response, Http.toolResult(id, "a".repeat(size))))
    } else return false
    return true
  })
  return {
    ...server,
    waiting: () => waiting.length,
    finish: (size: number) => {
      for (const answer of waiting.splice(0)) answer(size)
    }
  }
})

/** Starts `serve --stdio` over that server. */
const startServe = Effect.gen(function*() {
  const server = yield* startServer
  const place = yield* workplace
  place.write("mcp-sessions.json", { servers: { only: { url: server.url, protocol: "legacy" } } })
  const child = place.start(["--trust", "serve", "--stdio"])
  yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
  const { stderr, stdin, stdout } = child
  if (stdin === null || stdout === null || stderr === null) return yield* Effect.die(new Error("there are no pipes"))
  const output = { stderr: "" }
  stderr.setEncoding("utf8").on("data", (text: string) => output.stderr += text)
  stdin.on("error", () => {})
  const received: Array<Message> = []
  const read = () => createInterface({ input: stdout }).on("line", (line) => received.push(JSON.parse(line)))
  const send = (...messages: ReadonlyArray<object>) =>
    void stdin.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(""))
  const ended = Effect.map(Effect.promise(() => once(child, "exit")), ([status]): unknown => status)
  return { child, ended, output, read, received, send, server, stdin, stdout }
})

/** Waits until messages with such ids have come. */
const untilReceived = (received: ReadonlyArray<Message>, ...ids: ReadonlyArray<number | null>) =>
  until(() => ids.filter((id) => received.every((message) => message.id !== id)), ({ length }) => length === 0)

describe("serve --stdio", () => {
  it.live("answers the requests in flight after its input has ended", () =>
    Effect.gen(function*() {
      const { ended, output, read, received, send, server, stdin } = yield* startServe
      read()
      send(initialize, call(1, "wait"))
      yield* until(server.waiting, (waiting) => waiting === 1)
      stdin.end()
      yield* until(() => output.stderr, (stderr) => stderr.includes("waiting for 1 request in flight"))
      server.finish(4)
      assert.strictEqual(yield* ended, 0)
      assert.deepStrictEqual(received.map(({ id }) => id), [0, 1])
      assert.strictEqual(received[1]?.result?.content?.[0]?.text, "aaaa")
    }))

  it.live("closes its sessions when the client is gone, without waiting for calls that nobody receives", () =>
    Effect.gen(function*() {
      const { child, ended, output, read, received, send, server, stdout } = yield* startServe
      const lines = read()
      send(initialize, call(1, "wait"))
      yield* until(server.waiting, (waiting) => waiting === 1)
      lines.close()
      stdout.destroy()
      // Each response is written to a pipe that nobody reads, so the second one fails again.
      send({ jsonrpc: "2.0", id: 2, method: "ping" }, { jsonrpc: "2.0", id: 3, method: "ping" })
      assert.strictEqual(yield* ended, 0)
      assert.isNull(child.signalCode)
      assert.deepStrictEqual(received.map(({ id }) => id), [0])
      assert.include(output.stderr, "the client has closed stdout")
      assert.notMatch(output.stderr, /EPIPE|at node:|unhandled/i)
      assert.isAbove(server.count("DELETE"), 0)
    }))

  it.live("ends with the reason after a line that is too long", () =>
    Effect.gen(function*() {
      const { ended, output, read, send, stdin } = yield* startServe
      read()
      send(initialize)
      stdin.write("a".repeat(4 * 1024 ** 2 + 1))
      assert.strictEqual(yield* ended, 0)
      assert.include(output.stderr, "a line on stdin is longer than 4194304 characters")
    }))

  it.live("answers lines that are not JSON-RPC with an error without an id, and goes on", () =>
    Effect.gen(function*() {
      const { read, received, send, stdin } = yield* startServe
      read()
      stdin.write("\n{\n[]\n")
      send(initialize)
      yield* untilReceived(received, 0)
      assert.deepStrictEqual(received.map(({ error, id }) => [id, error?.code]), [
        [null, -32_700],
        [null, -32_600],
        [0, undefined]
      ])
    }))

  it.live("refuses requests beyond 1,024 in flight, and still takes cancellations", () =>
    Effect.gen(function*() {
      const { read, received, send, server } = yield* startServe
      read()
      send(initialize)
      yield* untilReceived(received, 0)
      send(...Array.from({ length: 1030 }, (_, at) => call(at + 1, "wait")))
      yield* untilReceived(received, 1025, 1030)
      assert.deepStrictEqual(received.slice(1).map(({ error, id }) => [id, error?.code]), [
        [1025, -32_000],
        [1026, -32_000],
        [1027, -32_000],
        [1028, -32_000],
        [1029, -32_000],
        [1030, -32_000]
      ])
      send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } })
      // The place of the cancelled call is free again.
      yield* Effect.repeat(
        Effect.gen(function*() {
          const id = 2000 + received.length
          send({ jsonrpc: "2.0", id, method: "ping" })
          yield* untilReceived(received, id)
          return received.at(-1)?.result
        }),
        { until: (result) => result !== undefined }
      )
      assert.isAtMost(server.waiting(), 1024)
    }))

  it.live("ends with the reason if its client leaves 16 MiB unread", () =>
    Effect.gen(function*() {
      const { ended, output, send, server } = yield* startServe
      send(initialize, ...Array.from({ length: 200 }, (_, at) => call(at + 1, "wait")))
      yield* until(() => {
        server.finish(200_000)
        return output.stderr
      }, (stderr) => stderr.includes("the client does not read stdout"))
      assert.strictEqual(yield* ended, 0)
    }))
})
