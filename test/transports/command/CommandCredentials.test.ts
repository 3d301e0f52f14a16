/**
 * Headers from a command. The ledger of runs is a file that the command writes; the ledger of requests is kept by the server.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, Sessions } from "@mcp-sessions/core"
import { CommandCredentials, Transports } from "@mcp-sessions/transports"
import { Context, Effect, Layer } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import * as Http from "../../fixtures/scriptedHttp.ts"

/** A server that takes the keys in `valid`, a command that prints the key in a file, and sessions that use both. */
const setting = (
  options: { readonly script?: string; readonly command?: Partial<CommandCredentials.HeadersCommand> }
) =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "command-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const [key, runs] = [join(directory, "key"), join(directory, "runs")]
    writeFileSync(key, "key-one")
    writeFileSync(runs, "")
    const valid = new Set(["key-one"])
    const ran: Array<unknown> = []
    const http = yield* Http.start(({ message, request, response }) => {
      const sent = String(request.headers["x-key"])
      if (!valid.has(sent)) {
        response.writeHead(401).end(`unknown key ${sent}`)
        return true
      }
      if (message.method === "tools/call") ran.push(message.params?.name)
      return false
    })
    const script = options.script ?? `
      const fs = require("node:fs")
      fs.appendFileSync(process.env.RUNS, process.env.MCP_SERVER_NAME + " " + process.env.MCP_OWNER + "\\n")
      console.log(JSON.stringify({ "X-Key": fs.readFileSync(process.env.KEY, "utf8") }))`
    const context = yield* Layer.build(
      Sessions.layer({
        servers: { s: { url: http.url, protocol: "legacy", healthInterval: 0, headers: { "x-own": "own" } } },
        retry: RetryPolicy.never
      }).pipe(
        Layer.provide(CommandCredentials.layer({
          commands: {
            s: {
              command: process.execPath,
              args: ["-e", script],
              env: { KEY: key, RUNS: runs },
              ...options.command
            }
          }
        })),
        Layer.provide(Transports.layer)
      )
    )
    return {
      http,
      valid,
      ran,
      setKey: (text: string) => writeFileSync(key, text),
      runs: () => readFileSync(runs, "utf8").split("\n").filter((line) => line !== ""),
      sessions: Context.get(context, Sessions.Sessions)
    }
  })

const failureOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => inspect(error, { depth: 9 }))

describe("headers from a command", () => {
  it.live("are asked for once, and sent with every request of an owner", () =>
    Effect.gen(function*() {
      const { http, runs, sessions } = yield* setting({})
      yield* Effect.forEach(["a", "b", "c"], (name) => sessions.callTool("s", name), { concurrency: "unbounded" })
      assert.deepStrictEqual(runs(), ["s default"])
      assert.isTrue(http.ledger.every(({ headers }) => headers["x-key"] === "key-one" && headers["x-own"] === "own"))
      yield* sessions.callTool("s", "d", {}, { owner: "ada" })
      assert.deepStrictEqual(runs(), ["s default", "s ada"])
    }).pipe(Effect.scoped))

  it.live("are asked for once more by all calls that a server refuses, and no call runs twice", () =>
    Effect.gen(function*() {
      const { ran, runs, sessions, setKey, valid } = yield* setting({})
      yield* sessions.callTool("s", "before")
      setKey("key-two")
      valid.clear()
      valid.add("key-two")
      const names = Array.from({ length: 20 }, (_, index) => `t${index}`)
      yield* Effect.forEach(names, (name) => sessions.callTool("s", name), { concurrency: "unbounded" })
      assert.strictEqual(runs().length, 2)
      assert.strictEqual(ran.length, 21)
      assert.strictEqual(new Set(ran).size, 21)
    }).pipe(Effect.scoped))

  it.live("fail typed without a loop if they stay refused, and are not shown", () =>
    Effect.gen(function*() {
      const { runs, sessions, valid } = yield* setting({})
      yield* sessions.callTool("s", "before")
      valid.clear()
      const failure = yield* failureOf(sessions.callTool("s", "after"))
      assert.match(failure, /AuthRequired/)
      assert.notMatch(failure, /key-one/)
      assert.strictEqual(runs().length, 2)
    }).pipe(Effect.scoped))

  it.live("are asked for again after their time", () =>
    Effect.gen(function*() {
      const { runs, sessions } = yield* setting({ command: { timeToLive: 0 } })
      yield* sessions.callTool("s", "a")
      const before = runs().length
      yield* sessions.callTool("s", "b")
      assert.isAbove(runs().length, before)
    }).pipe(Effect.scoped))

  const failing: Record<
    string,
    { readonly script?: string; readonly command?: Partial<CommandCredentials.HeadersCommand> }
  > = {
    "cannot be started": { command: { command: "/nowhere/command" } },
    "ends with status 3": { script: "process.exit(3)" },
    "did not end within 300 ms": { script: "setInterval(() => {}, 1000)", command: { timeout: 300 } },
    "printed more than 65536 bytes": { script: "for (;;) process.stdout.write('x'.repeat(65536))" },
    "printed something else than a JSON object of headers": { script: "console.log('[secret-1]')" },
    "something else than a JSON object of headers": {
      script: `console.log(JSON.stringify({ a: "secret-1\\r\\nb: c" }))`
    },
    "printed a header that the definition has already": {
      script: `console.log(JSON.stringify({ "X-Own": "secret-1" }))`
    }
  }
  for (const [message, options] of Object.entries(failing)) {
    it.live(`fail the connect typed if the command ${message}`, () =>
      Effect.gen(function*() {
        const { http, sessions } = yield* setting(options)
        const failure = yield* failureOf(sessions.callTool("s", "t"))
        assert.match(failure, /CredentialsFailed/)
        assert.include(failure, message.replace("ends", "ended"))
        assert.notMatch(failure, /secret-1/)
        assert.strictEqual(http.ledger.length, 0)
      }).pipe(Effect.scoped))
  }
})
