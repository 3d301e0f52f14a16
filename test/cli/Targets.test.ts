/**
 * Servers that the command line describes itself: by a URL, or by a command after `--`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Http from "../fixtures/scriptedHttp.ts"
import { inWorkplace, rich } from "./cli.ts"

const node = process.execPath

describe.concurrent("a command after --", () => {
  const table: ReadonlyArray<readonly [words: ReadonlyArray<string>, stdout: RegExp]> = [
    [["call", "echo", "message=hi"], /^hi\n$/],
    [["tools", "--json"], /"name": "echo"/],
    [["tools", "echo"], /^echo\n\{/],
    [["check"], /^✓ +node +stdio .* 10 [^]*1 of 1 healthy/m],
    [["resources"], /^note:\/\/1 .*A note · text\/plain · First line …$/m],
    [["read", "note://1"], /^first.*\nsecond\n$/],
    [["prompts"], /^summarize style=<text> \[tone=<text>\] +Summarizes$/m],
    [["prompt", "summarize", "style=short"], /^user:\nBe short\nassistant:\n\[image image\/png, \d+ bytes\]\n$/],
    [["complete", "summarize", "style=sh"], /^short\nshorter\n$/],
    [["logs", "--stderr"], / stderr starting\n.* stderr listening\n/]
  ]
  for (const [words, stdout] of table) {
    it.live(`starts a server for ${words[0]} ${words[1] ?? ""} without a configuration`, () =>
      inWorkplace(({ run }, file) =>
        Effect.gen(function*() {
          const outcome = yield* run([...words, ...rich(file)])
          assert.strictEqual(outcome.status, 0, outcome.stderr)
          assert.match(outcome.stdout, stdout)
        })
      ))
  }

  it.live("passes flags after it to the server, and takes --json for itself only before it", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        const script = write("words.mjs", `process.stderr.write(process.argv.slice(2).join(" ")); process.exit(3)`)
        const outcome = yield* run(["tools", "--", node, script, "--json", "--", "-x", file])
        assert.strictEqual(outcome.status, 4)
        assert.include(outcome.stderr, "error[ServerExited]")
        assert.include(outcome.stderr, "| --json -- -x")
        // The server has no name that another command could take.
        assert.notInclude(outcome.stderr, "try:")
      })
    ))

  it.live("excludes names of servers, headers and a missing tool", () =>
    inWorkplace(({ run }) =>
      Effect.gen(function*() {
        const table: ReadonlyArray<readonly [words: ReadonlyArray<string>, expected: string]> = [
          [["check", "a"], "name servers, or give the command of one after --, not both"],
          [["call"], "missing the name of a tool of node"],
          [["read"], "missing the URI of a resource of node"],
          [["prompt"], "missing the name of a prompt of node"],
          [["tools", "a", "b"], "unexpected argument \"b\""],
          [["tools", "--header", "A: b"], "--header: only for a server that is given by its URL"]
        ]
        for (const [words, expected] of table) {
          const outcome = yield* run([...words, ...rich("")])
          assert.strictEqual(outcome.status, 2)
          assert.include(outcome.stderr, `error[Usage]: ${expected}`)
        }
      })
    ))
})

describe.concurrent("advice", () => {
  it.live("gives the words that were probably meant", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", {
          servers: {
            "my server": { command: node, args: ["-e", "process.exit(3)"] },
            joined: { command: "no-such-program --flag" },
            far: { url: "https://h/" }
          }
        })
        const table: ReadonlyArray<readonly [words: ReadonlyArray<string>, expected: string]> = [
          [["call", "far", "echo", "a=1"], "  try: mcp-sessions call far/echo a=1\n"],
          [["prompt", "far", "p"], "  try: mcp-sessions prompt far/p\n"],
          [["read", "far/note://1"], "  try: mcp-sessions read far note://1\n"],
          [["tools", "my server"], "  try: read all that it wrote to stderr: mcp-sessions logs --stderr 'my server'\n"],
          [
            ["tools", "joined"],
            "  try: write the program alone into \"command\", and its arguments into \"args\"\n"
          ]
        ]
        for (const [words, expected] of table) {
          assert.include((yield* run(words)).stderr, expected, words.join(" "))
        }
      })
    ))

  it.live("up takes --all for all servers, and refuses names beside it", () =>
    inWorkplace(({ directory, run, write }) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { broken: { command: "no-such-program" } } })
        const env = { XDG_RUNTIME_DIR: directory }
        assert.include((yield* run(["up", "--all"], { env })).stderr, "error[SpawnFailed] ")
        const refused = yield* run(["up", "broken", "--all"], { env })
        assert.strictEqual(refused.status, 2)
        assert.include(refused.stderr, "--all: expected no names of servers beside it")
      })
    ))

  it.live("flags may stand anywhere before --, also between words", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { broken: { command: "no-such-program" } } })
        for (
          const words of [
            ["--trust", "tools", "broken"],
            ["tools", "--trust", "broken"],
            ["tools", "broken", "--trust"],
            ["call", "broken/echo", "--trust", "a=1"]
          ]
        ) assert.strictEqual((yield* run(["--json=false", ...words])).status, 4, words.join(" "))
      })
    ))
})

describe.concurrent("a URL in place of a name", () => {
  /** Starts a server with one tool that remembers the headers of its requests. */
  const remote = Http.start(({ message: { id, method }, request, response }) => {
    if (method === "tools/list") {
      Http.json(response, Http.result(id, { tools: [{ name: "headers", inputSchema: { type: "object" } }] }))
    } else if (method === "tools/call") Http.json(response, Http.toolResult(id, JSON.stringify(request.headers)))
    else return false
    return true
  })

  it.live("is called with the next word as the tool, and with headers of variables and files", () =>
    inWorkplace(({ directory, run }) =>
      Effect.gen(function*() {
        const { url } = yield* remote
        writeFileSync(join(directory, "key.txt"), "from file\n")
        const headers = ["Authorization: Bearer ${TOKEN}", "X-Key: @key.txt", "X-Text: @@a $$5"].flatMap((header) => [
          "--header",
          header
        ])
        const outcome = yield* run(["call", url, "headers", ...headers], { env: { TOKEN: "s3cret-token" } })
        assert.strictEqual(outcome.status, 0, outcome.stderr)
        assert.deepInclude(JSON.parse(outcome.stdout), {
          authorization: "Bearer s3cret-token",
          "x-key": "from file",
          "x-text": "@a $$5"
        })
        assert.include((yield* run(["tools", url])).stdout, "headers")
        assert.include((yield* run(["check", url])).stdout, "1 of 1 healthy")
      })
    ))

  it.live("has its headers rejected together, with names and without values", () =>
    inWorkplace(({ run }) =>
      Effect.gen(function*() {
        const headers = ["s3cret", "Bad: $NOT_SET", "File: @none.txt", "A: s3cret", "a: s3cret"].flatMap((header) => [
          "--header",
          header
        ])
        const outcome = yield* run(["tools", "https://example.invalid/mcp", ...headers])
        assert.strictEqual(outcome.status, 2)
        for (
          const problem of [
            "--header: expected \"Name: value\"",
            "--header Bad: the variable NOT_SET is not set",
            "--header File: no such file",
            "--header a: given twice"
          ]
        ) assert.include(outcome.stderr, problem)
        assert.notInclude(outcome.stderr, "s3cret")
      })
    ))

  it.live("is rejected with credentials in it, and without the credentials in the message", () =>
    inWorkplace(({ run }) =>
      Effect.gen(function*() {
        const outcome = yield* run(["tools", "https://me:s3cret@example.invalid/mcp"])
        assert.strictEqual(outcome.status, 2)
        assert.include(outcome.stderr, "holds credentials")
        assert.notInclude(outcome.stderr, "s3cret")
      })
    ))

  it.live("is named in errors without its query and keys", () =>
    inWorkplace(({ run }) =>
      Effect.gen(function*() {
        const words = ["tools", "http://127.0.0.1:1/mcp?key=s3cret", "--timeout", "300ms"]
        assert.include((yield* run(words)).stderr, "] http://127.0.0.1:1/mcp: ")
        const keyed = yield* run(["tools", "http://127.0.0.1:1/s/abcdefgh12345678/mcp", "--timeout", "300ms"])
        assert.include(keyed.stderr, "] 127.0.0.1:1: ")
        assert.notInclude(keyed.stderr, "abcdefgh12345678")
      })
    ))
})
