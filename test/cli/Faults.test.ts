/**
 * Faults of servers and configurations that other command lines were measured on, and the advice that each failure gives.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fixture, isAlive, until } from "../fixtures/peer.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import { inWorkplace, rich } from "./cli.ts"

const node = process.execPath
const good = (file: string) => ({ command: node, args: [fixture("stdioServer.ts"), "v1", file] })
const faulty = (mode: string, file: string, ...rest: ReadonlyArray<string>) => ({
  command: node,
  args: [fixture("faultyStdio.mjs"), mode, file, ...rest],
  protocol: "legacy"
})

describe.concurrent("a tool that must not run twice", () => {
  it.effect("runs once when its call exceeds the time limit, and the server is told to cancel", () =>
    inWorkplace(({ run, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { good: good(file) } })
        const call = run(["call", "good/hang", "id=1", "--no-validate", "--timeout", "3s"])
        const called = yield* Effect.forkChild(call, { startImmediately: true })
        yield* TestClock.withLive(until(() => read("hang"), (ids) => ids.length === 1))
        yield* TestClock.adjust("3 seconds")
        const outcome = yield* Fiber.join(called)
        assert.strictEqual(outcome.status, 12)
        assert.include(outcome.stderr, "try: check on the server whether the tool ran before you call it again")
        assert.deepStrictEqual(read("hang"), ["1"])
        yield* TestClock.withLive(until(() => read("cancelled"), (ids) => ids.length === 1))
      })
    ))

  it.live("runs once when its server dies during the call", () =>
    inWorkplace(({ run, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { good: good(file) } })
        const outcome = yield* run(["call", "good/die", "id=1", "--no-validate"])
        assert.strictEqual(outcome.status, 12)
        assert.include(outcome.stderr, "  | FATAL the fixture was told to die")
        assert.deepStrictEqual(read("die"), ["1"])
        assert.strictEqual(read("process").length, 1)
      })
    ))
})

describe.concurrent("arguments that do not fit the schema of a tool", () => {
  it.live("are refused together before the tool is called", () =>
    inWorkplace(({ run }, file, read) =>
      Effect.gen(function*() {
        const { status, stderr, stdout } = yield* run(["call", "echo", "mesage=hi", "n=abc", ...rich(file)])
        assert.deepStrictEqual([status, stdout], [2, ""])
        assert.include(stderr, "unknown argument \"mesage\"; did you mean \"message\"?")
        assert.match(stderr, /^.*\bn: .*integer/m)
        const unread = yield* run(["call", "echo", "n:=abc", ...rich(file)])
        assert.strictEqual(unread.status, 2)
        const needy = ["--", node, "-e", needing, file]
        const missing = yield* run(["call", "save", ...needy])
        assert.strictEqual(missing.status, 2)
        assert.include(missing.stderr, "missing argument \"path\"")
        assert.deepStrictEqual(read("call"), [])
      })
    ))
})

/** A server with a tool that has a required argument. */
const needing = `
const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n")
const inputSchema = { type: "object", properties: { path: { type: "string" } }, required: ["path"] }
require("readline").createInterface(process.stdin).on("line", (line) => {
  const { id, method } = JSON.parse(line)
  if (method === "tools/call") require("fs").appendFileSync(process.argv[1], "call save\\n")
  const results = {
    initialize: { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } },
    "tools/list": { tools: [{ name: "save", inputSchema }] },
    "tools/call": { content: [] }
  }
  if (id === undefined) return
  send(results[method] === undefined
    ? { id, error: { code: -32601, message: "Method not found" } }
    : { id, result: results[method] })
}).on("close", () => process.exit(0))
`

describe.concurrent("configured servers", () => {
  it.live("of other clients are found in their files, with variables in their notation", () =>
    inWorkplace(({ directory, run, write }, file) =>
      Effect.gen(function*() {
        const env = (KEY: string) => ({ ...good(file), env: { KEY } })
        for (const folder of [".vscode", ".cursor", ".gemini"]) mkdirSync(join(directory, folder))
        write(".vscode/mcp.json", { servers: { code: env("${env:SET}") } })
        write(".cursor/mcp.json", {
          mcpServers: { cursor: env("x${env:SET}y"), unset: env("${env:NO_SUCH_VARIABLE}") }
        })
        write(".gemini/settings.json", { mcpServers: { gemini: env("$SET") } })
        write("opencode.json", {
          mcp: { open: { type: "local", command: [node, ...good(file).args], environment: { KEY: "{env:SET}" } } }
        })
        for (const [name, value] of [["code", "s"], ["cursor", "xsy"], ["gemini", "s"], ["open", "s"]] as const) {
          const { stderr, stdout } = yield* run(["call", `${name}/environment`], { env: { SET: "s" } })
          assert.strictEqual(JSON.parse(stdout || "{}").KEY, value, `${name}: ${stderr}`)
        }
        const unset = yield* run(["call", "unset/environment"], { env: { SET: "s" } })
        assert.strictEqual(unset.status, 10)
        assert.include(unset.stderr, "the variable NO_SUCH_VARIABLE is not set")
      })
    ))

  it.live("with a URL and no type are reached over HTTP, and those with a command over stdio", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        const { url } = yield* Http.start(({ message: { id, method }, response }) => {
          if (method !== "tools/list") return false
          Http.json(response, Http.result(id, { tools: [{ name: "t", inputSchema: { type: "object" } }] }))
          return true
        })
        write(".mcp.json", { mcpServers: { far: { url }, near: good(file) } })
        const { servers } = JSON.parse((yield* run(["check", "--json"])).stdout)
        assert.deepStrictEqual(
          servers.map(({ state, transport }: Record<string, unknown>) => [transport, state]),
          [["streamable_http", "healthy"], ["stdio", "healthy"]]
        )
      })
    ))

  it.live("are checked together: six broken ones of nine are named with their causes", () =>
    inWorkplace(({ run, write }, file, read) =>
      Effect.gen(function*() {
        const dead = yield* Http.start(({ response }) => {
          response.writeHead(500).end("out of order")
          return true
        })
        const locked = yield* Http.start(({ response }) => {
          response.writeHead(401).end()
          return true
        })
        write("mcp-sessions.json", {
          servers: {
            a: faulty("plain", file),
            b: faulty("plain", file),
            c: good(file),
            absent: { command: "no-such-command" },
            crashing: faulty("exit", file, "3", "FATAL_no_key"),
            mute: { ...faulty("mute", file), connectTimeout: "3 seconds" },
            refused: { url: "http://127.0.0.1:1/mcp" },
            dead: { url: dead.url },
            locked: { url: locked.url, auth: false }
          }
        })
        const { status, stdout } = yield* run(["check", "--json", "--timeout", "15s"])
        assert.strictEqual(status, 13)
        const causes = JSON.parse(stdout).servers.map(
          ({ lastError, name }: { readonly name: string; readonly lastError: { readonly code: string } | null }) => [
            name,
            lastError?.code
          ]
        )
        assert.deepStrictEqual(Object.fromEntries(causes), {
          a: undefined,
          b: undefined,
          c: undefined,
          absent: "SpawnFailed",
          crashing: "ServerExited",
          mute: "ConnectTimeout",
          refused: "ConnectionRefused",
          dead: "HttpFailed",
          locked: "AuthRequired"
        })
        yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
      })
    ))

  it.live("keep their secrets out of the arguments of processes, out of files and out of the output", () =>
    inWorkplace(({ directory, run, write }, file) =>
      Effect.gen(function*() {
        const secret = "s3cret-of-this-test"
        write("mcp-sessions.json", { servers: { good: { ...good(file), env: { API_KEY: "${KEY}" } } } })
        let words: ReadonlyArray<string> = []
        const outcome = yield* run(["call", "good/hang", "id=1", "--no-validate"], {
          env: { KEY: secret, LEAKED: "of-the-parent" },
          until: () => {
            if (!readFileSync(file, "utf8").includes("hang 1")) return false
            words = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid)).map(commandLineOf)
            return true
          }
        })
        assert.isAbove(words.length, 1)
        assert.notInclude(words.join("\n"), secret)
        assert.notInclude(outcome.stdout + outcome.stderr, secret)
        for (const name of readdirSync(directory, { recursive: true, withFileTypes: true })) {
          if (name.isFile()) assert.notInclude(readFileSync(join(name.parentPath, name.name), "utf8"), secret)
        }
        const environment = yield* run(["call", "good/environment"], { env: { KEY: secret, LEAKED: "of-the-parent" } })
        assert.strictEqual(JSON.parse(environment.stdout).API_KEY, secret)
        assert.notInclude(environment.stdout, "of-the-parent")
      })
    ))
})

const commandLineOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
  } catch {
    // The process ended after it was listed.
    return ""
  }
}

describe.concurrent("a failure that a user can act on", () => {
  /** A stream that never names an endpoint. */
  const silentSse = Http.start(({ request, response }) => {
    if (request.method !== "GET") return false
    Http.stream(response, ": hello\n\n")
    return true
  })

  const statusServer = (status: number) =>
    Http.start(({ response }) => {
      response.writeHead(status).end()
      return true
    })

  const at = (url: string, type = "http") => ({ type, url })

  const table: ReadonlyArray<
    readonly [
      title: string,
      server: (file: string) => Effect.Effect<unknown, never, Effect.Services<typeof silentSse>>,
      expected: ReadonlyArray<string>
    ]
  > = [
    [
      "a connect timeout of a process that wrote nothing",
      (file) => Effect.succeed({ ...faulty("mute", file), connectTimeout: "700 millis" }),
      [`not connected within 700 ms: ${JSON.stringify(node)} has written nothing to stdout`, "try: give a server that"]
    ],
    [
      "a connect timeout of a process that printed a banner only",
      () =>
        Effect.succeed({
          // A shell starts quickly, also on a busy machine.
          command: "sh",
          args: ["-c", "echo hello; cat > /dev/null"],
          connectTimeout: "2 seconds"
        }),
      ["has not answered the handshake on stdout"]
    ],
    [
      "an SSE stream without an endpoint event",
      () => Effect.map(silentSse, ({ url }) => ({ ...at(url, "sse"), connectTimeout: "2 seconds" })),
      ["the event stream has named no endpoint to post to (it begins with an event named \"endpoint\")"]
    ],
    [
      "an exit at the start",
      (file) => Effect.succeed(faulty("exit", file, "3", "FATAL_no_key")),
      [
        "exited with code 3",
        "  | FATAL no key",
        "try: read all that it wrote to stderr: mcp-sessions logs --stderr s"
      ]
    ],
    [
      "a command that is not installed",
      () => Effect.succeed({ command: "no-such-command" }),
      ["try: install \"no-such-command\", or give its path in \"command\""]
    ],
    [
      "a working directory that does not exist",
      () => Effect.succeed({ command: node, cwd: "/no/such/directory" }),
      ["try: correct \"cwd\" in the definition"]
    ],
    [
      "a port without a listener",
      () => Effect.succeed(at("http://127.0.0.1:1/mcp")),
      ["try: start the server, or correct the address in the URL"]
    ],
    [
      "a path that the server does not know",
      () => Effect.map(statusServer(404), ({ url }) => at(url)),
      ["try: correct the path in the URL; it often ends in /mcp, or in /sse on older servers"]
    ],
    [
      "missing credentials",
      () => Effect.map(statusServer(401), ({ url }) => ({ ...at(url), auth: false })),
      ["try: give credentials in \"headers\" of the definition, or with --header beside a URL"]
    ]
  ]
  for (const [title, server, expected] of table) {
    it.live(`says of ${title} what to do`, () =>
      inWorkplace(({ run, write }, file) =>
        Effect.gen(function*() {
          write("mcp-sessions.json", { servers: { s: yield* server(file) } })
          const { stderr, stdout } = yield* run(["tools", "s", "--timeout", "5s"])
          assert.strictEqual(stdout, "")
          for (const text of expected) assert.include(stderr, text)
        })
      ))
  }
})
