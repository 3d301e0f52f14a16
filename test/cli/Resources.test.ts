/**
 * Resources, prompts, completions, changes, logs and recordings.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fixture, isAlive, until } from "../fixtures/peer.ts"
import { inWorkplace, rich } from "./cli.ts"

const server = (file: string) => ({
  servers: { rich: { command: process.execPath, args: [fixture("richStdio.mjs"), file] } }
})

describe.concurrent("resources and prompts", () => {
  it.live("are listed and read as plain objects with --json", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", server(file))
        const json = (words: ReadonlyArray<string>) =>
          Effect.map(run([...words, "--json"]), ({ stdout }) => JSON.parse(stdout))
        assert.deepStrictEqual(
          (yield* json(["resources", "rich"])).map(({ uri }: { readonly uri: string }) => uri),
          ["note://1", "photo://1"]
        )
        assert.deepStrictEqual(yield* json(["resources", "rich", "--templates"]), [
          { uriTemplate: "note://{id}", name: "notes" }
        ])
        assert.strictEqual((yield* json(["read", "rich", "note://1"])).contents[0].text, "first\u001b[2J\nsecond")
        assert.strictEqual((yield* json(["prompts", "rich"]))[0].name, "summarize")
        assert.strictEqual((yield* json(["prompt", "rich/summarize", "style=short"])).messages.length, 2)
        assert.deepStrictEqual(yield* json(["complete", "rich/summarize", "style=l", "tone=kind"]), {
          values: ["long and kind"],
          total: 4,
          hasMore: true
        })
      })
    ))

  it.live("are shown on a terminal without the escapes of the server", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const { stdout } = yield* run(["read", "note://1", ...rich(file)], { isTerminal: true })
        assert.strictEqual(stdout, "first\\u001b[2J\nsecond\n")
      })
    ))

  it.live("are written as bytes only with --raw, and not to a terminal", () =>
    inWorkplace(({ directory, run }, file) =>
      Effect.gen(function*() {
        const plain = yield* run(["read", "photo://1", ...rich(file)])
        assert.match(plain.stdout, /^\[resource photo:\/\/1 image\/png, \d+ bytes\]\n$/)
        let bytes: Buffer = Buffer.alloc(0)
        const onBytes = (all: Buffer) => {
          bytes = all
        }
        yield* run(["read", "photo://1", "--raw", ...rich(file)], { onBytes })
        assert.deepStrictEqual([...bytes.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47])
        assert.strictEqual(bytes.length, 70)
        assert.strictEqual((yield* run(["read", "note://1", "--raw", ...rich(file)])).stdout, "first\u001b[2J\nsecond")
        for (const [uri, isTerminal] of [["photo://1", true], ["pair://1", false]] as const) {
          const refused = yield* run(["read", uri, "--raw", ...rich(file)], { isTerminal })
          assert.deepStrictEqual([refused.status, refused.stdout], [2, ""])
          assert.include(refused.stderr, "--save")
        }
        const saved = yield* run(["read", "pair://1", "--save", ".", ...rich(file)])
        assert.strictEqual(saved.stdout, `${join(directory, "a.txt")}\n${join(directory, "b.txt")}\n`)
      })
    ))

  it.live("are named with suggestions where a name or an argument is unknown or missing", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", server(file))
        const table: ReadonlyArray<readonly [words: ReadonlyArray<string>, expected: string]> = [
          [["prompt", "rich/sumarize"], "no prompt \"sumarize\"; did you mean \"summarize\"?"],
          [["prompt", "rich/summarize", "styl=x"], "unknown argument \"styl\"; did you mean \"style\"?"],
          [["prompt", "rich/summarize"], "missing argument \"style\"\n  try: summarize style=<text> [tone=<text>]"],
          [["prompt", "rich/summarize", "style=a", "style=b", "x"], "style: given twice"],
          [["prompt", "rich/summarize", "style=@none.txt"], "style: no such file"],
          [["prompt", "rich"], "missing prompt name; expected rich/<prompt>\n  try: mcp-sessions prompts rich"],
          [["prompt"], "missing argument <server/prompt>"],
          [["resources", "rihc"], "unknown server \"rihc\"; did you mean \"rich\"?"],
          [["read", "rich"], "missing the URI of a resource of rich\n  try: mcp-sessions resources rich"],
          [["complete", "rich/summarize"], "missing argument; expected argument=prefix"],
          [["resources", "rich", "more"], "unexpected argument \"more\""]
        ]
        for (const [words, expected] of table) {
          const outcome = yield* run(words)
          assert.strictEqual(outcome.status, 2, expected)
          assert.include(outcome.stderr, expected)
        }
      })
    ))

  it.live("have arguments of prompts read from files, and completions of templates", () =>
    inWorkplace(({ run, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", server(file))
        write("style.txt", "from a file\n")
        yield* run(["prompt", "rich/summarize", "style=@style.txt", "tone=@@x"])
        assert.deepStrictEqual(read("prompt").map((line) => JSON.parse(line)), [{ style: "from a file\n", tone: "@x" }])
        yield* run(["complete", "rich/note://{id}", "id=1"])
        assert.deepStrictEqual(read("complete").map((line) => JSON.parse(line)), [
          { type: "ref/resource", uri: "note://{id}" }
        ])
      })
    ))
})

describe.concurrent("watch", () => {
  it.live("prints the lists, their differences and changed resources as they come, until it is interrupted", () =>
    inWorkplace(({ run }, file, read) =>
      Effect.gen(function*() {
        const lines = (stdout: string) => stdout.trimEnd().split("\n")
        const outcome = yield* run(["watch", "--resource", "note://1", ...watched(file)], {
          until: (stdout) => /tools changed/.test(stdout) && /note:\/\/1 changed/.test(stdout)
        })
        const shown = lines(outcome.stdout).map((line) => line.replace(/^\d\d:\d\d:\d\d /, ""))
        for (
          const line of [
            "2 tools",
            "2 resources",
            "subscribed to note://1",
            String.raw`tools changed: +fresh\u001b[2J -old ~kept (2)`,
            "note://1 changed"
          ]
        ) assert.include(shown, line)
        yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
      })
    ))

  it.live("prints one JSON document for each event with --json", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const { stdout } = yield* run(["watch", "--json", ...watched(file)], {
          until: (stdout) => /"changed"/.test(stdout)
        })
        const events = stdout.trimEnd().split("\n").map((line) => JSON.parse(line))
        const { time, ...event } = events.find(({ event }) => event === "changed")
        assert.match(time, /^\d{4}-\d\d-\d\dT/)
        assert.deepStrictEqual(event, {
          schema: "mcp-sessions/1",
          event: "changed",
          list: "tools",
          total: 2,
          added: ["fresh\u001b[2J"],
          removed: ["old"],
          changed: ["kept"]
        })
      })
    ))
})

/** A server that changes its tools once it was asked for them, and announces that. */
const watched = (file: string): ReadonlyArray<string> => ["--", process.execPath, "-e", changing, file]

const changing = `
require("fs").appendFileSync(process.argv[1], "process " + process.pid + "\\n")
const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n")
const tool = (name, description) => ({ name, description, inputSchema: { type: "object" } })
let lists = 0
require("readline").createInterface(process.stdin).on("line", (line) => {
  const { id, method } = JSON.parse(line)
  const capabilities = { tools: { listChanged: true }, resources: { subscribe: true } }
  const results = {
    initialize: { protocolVersion: "2025-06-18", capabilities, serverInfo: { name: "s", version: "1" } },
    "tools/list": { tools: lists === 0 ? [tool("old"), tool("kept", "a")].slice(0, 2) : [tool("kept", "b"), tool("fresh\\u001b[2J")] },
    "resources/list": { resources: [{ uri: "note://1", name: "a" }, { uri: "note://2", name: "b" }] },
    "resources/subscribe": {}, "resources/unsubscribe": {}, ping: {}
  }
  if (id === undefined) return
  if (results[method] === undefined) return send({ id, error: { code: -32601, message: "Method not found" } })
  send({ id, result: results[method] })
  if (method === "resources/subscribe") send({ method: "notifications/resources/updated", params: { uri: "note://1" } })
  if (method === "tools/list" && lists++ === 0) send({ method: "notifications/tools/list_changed" })
}).on("close", () => process.exit(0))
`

describe.concurrent("logs", () => {
  it.live("prints what a server logged on stderr and as messages, by source and level", () =>
    inWorkplace(({ run }, file, read) =>
      Effect.gen(function*() {
        const { status, stdout } = yield* run(["logs", "--follow", ...rich(file)], {
          until: (stdout) => /failure/.test(stdout) && /ready/.test(stdout)
        })
        assert.strictEqual(status, 130)
        for (const text of ["stderr starting", "stderr ready", "info rich: {\"at\":\"start\"}"]) {
          assert.include(stdout, text)
        }
        assert.include(stdout, String.raw`error a failure\u001b[2J`)
        assert.deepStrictEqual(read("level"), ["debug"])
        const errors = yield* run(["logs", "-f", "--mcp", "--level", "error", "--json", ...rich(file)], {
          until: (stdout) => /failure/.test(stdout)
        })
        const [entry, ...others] = errors.stdout.trimEnd().split("\n").map((line) => JSON.parse(line))
        assert.deepInclude(entry, { source: "mcp", server: "node", level: "error", data: "a failure\u001b[2J" })
        assert.deepStrictEqual(others, [])
      })
    ))

  it.live("prints what a server wrote before it failed to start, and fails like any command", () =>
    inWorkplace(({ run }) =>
      Effect.gen(function*() {
        const script = `console.error("line 1"); process.stderr.write("FATAL \\u001b[2J"); process.exit(3)`
        const outcome = yield* run(["logs", "--stderr", "--", process.execPath, "-e", script])
        assert.strictEqual(outcome.status, 4)
        assert.match(outcome.stdout, /^[\d:]{8} stderr line 1\n[\d:]{8} stderr FATAL \\u001b\[2J\n$/)
        assert.include(outcome.stderr, "error[ServerExited]")
      })
    ))
})

describe.concurrent("logs without --follow", () => {
  it.live("prints every message that the server sent before it answered the ping", () =>
    inWorkplace(({ run }) =>
      Effect.gen(function*() {
        const { status, stdout } = yield* run(["logs", "--json", "--", process.execPath, "-e", talkative])
        assert.strictEqual(status, 0)
        const entries = stdout.trimEnd().split("\n").map((line) => JSON.parse(line))
        const of = (source: string) => entries.filter((entry) => entry.source === source)
        assert.deepStrictEqual(of("mcp").map(({ data }) => data), Array.from({ length: 200 }, (_, index) => index))
        assert.deepStrictEqual(of("stderr").map(({ line }) => line), ["asked", "unfinished"])
      })
    ))
})

/** A server that logs as much as it can right before it answers a ping. */
const talkative = `
const text = (message) => JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n"
require("readline").createInterface(process.stdin).on("line", (line) => {
  const { id, method } = JSON.parse(line)
  const initialized = { protocolVersion: "2025-06-18", capabilities: { logging: {} }, serverInfo: { name: "s", version: "1" } }
  if (id === undefined) return
  const log = (data) => text({ method: "notifications/message", params: { level: "info", data } })
  const logged = method === "ping" ? Array.from({ length: 200 }, (_, index) => log(index)).join("") : ""
  if (method === "ping") process.stderr.write("asked\\nunfinished")
  const answer = method === "server/discover"
    ? { error: { code: -32601, message: "Method not found" } }
    : { result: method === "initialize" ? initialized : {} }
  process.stdout.write(logged + text({ id, ...answer }))
}).on("close", () => process.exit(0))
`

describe.concurrent("a message of several lines", () => {
  it.live("has the time, the level and the logger on each of its lines in the log", () =>
    inWorkplace(({ run }, file) =>
      Effect.gen(function*() {
        const until = (stdout: string) => stdout.includes("second\n")
        const { stdout } = yield* run(["logs", "--mcp", "--follow", ...rich(file)], { until })
        assert.match(stdout, /^[\d:]{8} notice rich: first\n[\d:]{8} notice rich: second$/m)
      })
    ))
})

describe.concurrent("record and replay", () => {
  it.live("write down what a command says, and run it again without the server", () =>
    inWorkplace(({ directory, run, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", server(file))
        const words = ["--", "call", "rich/echo", "message=hi", "--json"]
        const live = yield* run(["record", "echo.jsonl", ...words])
        assert.strictEqual(live.status, 0, live.stderr)
        assert.strictEqual(JSON.parse(live.stdout).content[0].text, "hi")
        assert.include(readFileSync(join(directory, "echo.jsonl"), "utf8"), "\"tools/call\"")
        // Neither the configuration nor the server is needed.
        write("mcp-sessions.json", "not JSON")
        assert.deepStrictEqual(yield* run(["replay", "echo.jsonl", ...words]), live)
        assert.strictEqual(read("process").length, 1)
        const other = yield* run(["replay", "echo.jsonl", "--", "call", "rich/echo", "message=other"])
        assert.strictEqual(other.status, 2)
        assert.include(other.stderr, "the command is not the recorded one")
        assert.match(other.stderr, /; expected one of:\n {2}\| {3}\S.*\n/)
        assert.notInclude(other.stderr, "\\n")
      })
    ))

  it.live("reject a missing command, a missing recording and a file that is not a recording", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        write("text.txt", "text\n")
        const table: ReadonlyArray<readonly [words: ReadonlyArray<string>, expected: string]> = [
          [["record", "a.jsonl"], "missing the command after --"],
          [["replay", "none.jsonl", "--", "tools"], "none.jsonl: it cannot be read"],
          [["replay", "text.txt", "--", "tools"], "text.txt, line 1: it is not a line of a recording"]
        ]
        for (const [words, expected] of table) {
          const outcome = yield* run(words)
          assert.strictEqual(outcome.status, 2, outcome.stderr)
          assert.include(outcome.stderr, expected)
        }
      })
    ))
})
