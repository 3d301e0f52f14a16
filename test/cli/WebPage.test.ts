/**
 * The page of `serve --ui` and `up --ui`, as processes of the published program.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { visit } from "../fixtures/agree.ts"
import * as Auth from "../fixtures/authServer.ts"
import { connectV1 } from "../fixtures/gateway.ts"
import * as Guarded from "../fixtures/guardedHttp.ts"
import { act, enter, events, type Message, send } from "../fixtures/page.ts"
import { fixture, isAlive, makeLedger, until } from "../fixtures/peer.ts"
import { workplace } from "./cli.ts"

const exit = (child: ChildProcess): Effect.Effect<number | null> =>
  Effect.promise(async () => child.exitCode ?? (await once(child, "exit"))[0] as number | null)

/** Starts a command in a place with servers, and collects what it prints. */
const starting = (
  words: ReadonlyArray<string>,
  { files = {}, servers = {} }: {
    readonly files?: Readonly<Record<string, unknown>>
    readonly servers?: Readonly<Record<string, unknown>>
  } = {}
) =>
  Effect.gen(function*() {
    const { file, read } = yield* makeLedger
    const place = yield* workplace
    const env = { XDG_RUNTIME_DIR: place.directory, MCP_SESSIONS_TOKENS: join(place.directory, "sign-ins") }
    const marked = { command: process.execPath, args: [fixture("pageStdio.mjs"), file] }
    place.write("mcp-sessions.json", { servers: { marked, ...servers } })
    for (const [name, content] of Object.entries(files)) place.write(name, content)
    const start = (words: ReadonlyArray<string>) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => place.start(words, env)),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        ),
        (child) => {
          const printed = { stdout: "", stderr: "" }
          for (const name of ["stdout", "stderr"] as const) {
            child[name]?.setEncoding("utf8").on("data", (chunk: string) => {
              printed[name] += chunk
            })
          }
          return { child, printed }
        }
      )
    const started = yield* start(words)
    const page = (count = 1) =>
      Effect.map(
        until(
          () => Array.from(started.printed.stderr.matchAll(/^page: (\S+)$/gm), ([, url = ""]) => url),
          ({ length }) => length >= count
        ),
        (urls) => urls.at(-1) ?? ""
      )
    return { ...started, page, start, ledger: read }
  }) satisfies Effect.Effect<unknown, never, Scope.Scope>

const callsIn = (messages: ReadonlyArray<Message>): ReadonlyArray<Record<string, unknown>> =>
  messages.flatMap((message): ReadonlyArray<Record<string, unknown>> =>
    (message.kind === "snapshot" ? message["snapshot"]?.["calls"] : message["calls"]?.["items"]) ?? []
  )

interface Server {
  readonly name: string
  readonly health: string
  readonly signIn?: { readonly isPending: boolean; readonly url?: string }
}

const serversIn = (messages: ReadonlyArray<Message>): ReadonlyArray<Server> =>
  messages.reduce<ReadonlyArray<Server>>(
    (found, message) => (message.kind === "snapshot" ? message["snapshot"]?.["servers"] : message["servers"]) ?? found,
    []
  )

describe.concurrent("serve --ui", () => {
  it.live("prints the link of the page to stderr, the next one when it was used, and ends with its streams", () =>
    Effect.gen(function*() {
      const { child, ledger, page, printed } = yield* starting(["serve", "--ui"])
      const link = yield* page()
      assert.match(link, /^http:\/\/127\.0\.0\.1:\d+\/ui#[\w-]{43}$/)
      const session = yield* enter(link)
      assert.notStrictEqual(yield* page(2), link)
      const html = yield* send(`${session.origin}/ui`, { method: "GET" })
      assert.include(html.text, "<title>mcp-sessions</title>")
      const stream = yield* events(session)
      const { json } = yield* act(session, "call", { server: "marked", tool: "plain", arguments: "{}" })
      assert.strictEqual(json.outcome, "Succeeded")
      yield* until(() => callsIn(stream.messages), ({ length }) => length === 1)
      child.kill("SIGTERM")
      assert.strictEqual(yield* exit(child), 143)
      yield* until(stream.isEnded, (isEnded) => isEnded)
      yield* until(() => ledger("process").filter(isAlive), (alive) => alive.length === 0)
      assert.strictEqual(printed.stdout, `${session.origin}/mcp\n`)
    }))

  it.live("asks for a token of its file, and lets an operator restart servers", () =>
    Effect.gen(function*() {
      const tokens = { alice: "the-token-of-alice", root: "the-token-of-root" }
      const { page } = yield* starting(["serve", "--ui", "--tokens", "tokens.json", "--operator", "root"], {
        files: { "tokens.json": tokens }
      })
      const url = yield* page()
      assert.match(url, /\/ui$/)
      const statuses = yield* Effect.forEach(Object.values(tokens), (token) =>
        Effect.flatMap(enter(url, token), (session) => act(session, "restart", { server: "marked" })))
      assert.deepStrictEqual(
        statuses.map(({ status }) =>
          status
        ),
        [403, 200]
      )
    }))

  it.live("signs in to a server when its page asks for it, for the clients of the gateway too", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const guarded = yield* Guarded.start(auth)
      const { page } = yield* starting(["serve", "--ui"], {
        servers: { guarded: { url: guarded.url, protocol: "legacy" } }
      })
      const session = yield* enter(yield* page())
      const { messages } = yield* events(session)
      const guardedIn = () => serversIn(messages).find(({ name }) => name === "guarded")
      yield* until(guardedIn, (server) => server?.signIn?.isPending === false)
      yield* act(session, "sign-in", { server: "guarded" })
      const server = yield* until(guardedIn, (server) => server?.signIn?.url !== undefined)
      yield* Effect.promise(async () => visit(await visit(new URL(server?.signIn?.url ?? ""))))
      yield* until(guardedIn, (server) => server?.health === "healthy" && server.signIn === undefined)
      const { client } = yield* connectV1(`${session.origin}/mcp`)
      yield* Effect.promise(() => client.callTool({ name: "guarded_t" }))
      assert.deepStrictEqual(guarded.ran, ["t"])
    }))

  it.live("refuses flags that have no meaning together", () =>
    Effect.gen(function*() {
      const place = yield* workplace
      place.write("mcp-sessions.json", { servers: { none: { command: "no-such-command" } } })
      const stdio = yield* place.run(["serve", "--ui", "--stdio"])
      const operator = yield* place.run(["serve", "--operator", "root"])
      assert.deepStrictEqual([stdio.status, operator.status], [2, 2])
      assert.match(stdio.stderr, /--ui cannot be used with --stdio/)
      assert.match(operator.stderr, /--operator needs --ui/)
      const path = yield* place.run(["serve", "--stdio", "--port", "7", "--tokens", "tokens.json"])
      assert.strictEqual(path.status, 2)
      assert.match(path.stderr, /--port cannot be used with --stdio[^]*--tokens cannot be used with --stdio/)
      const open = yield* place.run(["serve", "--host", "0.0.0.0"])
      assert.strictEqual(open.status, 2)
      assert.match(open.stderr, /--host: an address other than loopback needs --tokens or --issuer/)
    }))
})

describe.concurrent("up --ui", () => {
  it.live("shows the calls of commands on the held sessions, and keeps commands from a server that it ejects", () =>
    Effect.gen(function*() {
      const { ledger, page, printed, start } = yield* starting(["up", "--ui"])
      const session = yield* enter(yield* page())
      const { messages } = yield* events(session)
      yield* until(() => printed.stdout, (text) => text.includes("socket: "))
      const run = (words: ReadonlyArray<string>) =>
        Effect.flatMap(start(words), ({ child, printed }) => Effect.map(exit(child), (status) => ({ status, printed })))
      assert.strictEqual((yield* run(["call", "marked/plain"])).status, 0)
      const [call] = yield* until(() => callsIn(messages), ({ length }) => length === 1)
      assert.deepInclude(call, {
        server: "marked",
        method: "tools/call",
        name: "plain",
        outcome: "Succeeded",
        delivery: "Answered"
      })
      assert.lengthOf(ledger("process"), 1)
      const { json } = yield* act(session, "call", {
        server: "marked",
        tool: "order",
        arguments: "{\"id\":12345678901234567890}"
      })
      assert.deepStrictEqual(json.blocks, [{ type: "text", text: "{\"id\":12345678901234567890}", isCut: false }])
      yield* act(session, "eject", { server: "marked" })
      const ejected = yield* run(["call", "marked/plain"])
      assert.deepStrictEqual([ejected.status, ledger("call")], [4, ["plain", "order"]])
      assert.match(ejected.printed.stderr, /ServerEjected/)
      yield* act(session, "readmit", { server: "marked" })
      assert.strictEqual((yield* run(["call", "marked/plain"])).status, 0)
    }))

  it.live("ends with its streams on `down`", () =>
    Effect.gen(function*() {
      const { child, page, printed, start } = yield* starting(["up", "--ui"])
      const stream = yield* events(yield* enter(yield* page()))
      yield* until(() => printed.stdout, (text) => text.includes("socket: "))
      const down = yield* start(["down"])
      assert.deepStrictEqual([yield* exit(down.child), yield* exit(child)], [0, 0])
      yield* until(stream.isEnded, (isEnded) => isEnded)
    }))
})
