import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { toolNames } from "../fixtures/behaviour.ts"
import { fixture, isAlive, until } from "../fixtures/peer.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import { bin, inWorkplace, type Outcome, type Workplace } from "./cli.ts"

const node = process.execPath
const good = (file: string) => ({ command: node, args: [fixture("stdioServer.ts"), "v1", file] })
const faulty = (mode: string, file: string, ...rest: ReadonlyArray<string>) => ({
  command: node,
  args: [fixture("faultyStdio.mjs"), mode, file, ...rest],
  protocol: "legacy"
})

const errorOf = ({ stderr }: Outcome) => {
  const last = stderr.trimEnd().split("\n").at(-1) ?? ""
  return JSON.parse(last).error
}

describe.concurrent("the command line", () => {
  it.live("prints its version and help without a configuration", () =>
    inWorkplace(({ run }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* run(["--version"]), { status: 0, stdout: "0.1.0\n", stderr: "" })
        const help = yield* run(["--help"])
        assert.strictEqual(help.status, 0)
        for (const command of ["servers", "check", "tools", "call"]) assert.include(help.stdout, command)
        assert.include((yield* run(["call", "--help"])).stdout, "key=value")
      })
    ))

  it.live("servers lists the configured servers, with variables as written", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        write(
          ".mcp.json",
          `{ // a comment
          "mcpServers": {
            "local": { "command": "server", "args": ["--token", "\${TOKEN}"] },
            "far": { "url": "https://example.com/mcp?key=1", "disabled": true },
          } }`
        )
        const human = yield* run(["servers"], { env: { TOKEN: "s3cret" } })
        assert.strictEqual(human.status, 0)
        assert.include(human.stdout, "server --token ${TOKEN}")
        assert.notInclude(human.stdout, "s3cret")
        const { stderr, stdout } = yield* run(["servers", "--json"], { env: { TOKEN: "s3cret" } })
        assert.strictEqual(stderr, "")
        assert.deepStrictEqual(JSON.parse(stdout), {
          schema: "mcp-sessions/1",
          servers: [
            {
              name: "local",
              transport: "stdio",
              target: "server --token ${TOKEN}",
              source: ".mcp.json",
              line: 3,
              client: "claude-code",
              disabled: false,
              trusted: false
            },
            {
              name: "far",
              transport: "streamable_http",
              target: "https://example.com/mcp",
              source: ".mcp.json",
              line: 4,
              client: "claude-code",
              disabled: true
            }
          ]
        })
      })
    ))

  it.live("check prints the state of each server and exits with 13 if one is unhealthy", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", {
          servers: {
            good: good(file),
            broken: faulty("exit", file, "3", "FATAL_no_key"),
            off: { ...good(file), disabled: true }
          }
        })
        const json = yield* run(["check", "--json"])
        assert.strictEqual(json.status, 13)
        const { servers } = JSON.parse(json.stdout)
        assert.deepInclude(servers[0], {
          name: "good",
          source: "mcp-sessions.json",
          transport: "stdio",
          state: "healthy",
          isHealthy: true,
          errorCount: 0,
          lastError: null,
          protocolVersion: "2025-11-25",
          era: "legacy",
          serverInfo: { name: "fixture", version: "1.0.0" },
          tools: toolNames.length
        })
        assert.isAbove(servers[0].pid, 0)
        assert.deepInclude(servers[1], { name: "broken", state: "unhealthy", isHealthy: false, errorCount: 1 })
        assert.deepInclude(servers[1].lastError, { code: "ServerExited", stderrTail: "starting\nFATAL no key" })
        assert.strictEqual(servers.length, 2)
        assert.deepInclude(errorOf(json), { code: "Unhealthy", servers: ["broken"] })

        const human = yield* run(["check"])
        assert.strictEqual(human.status, 13)
        assert.match(human.stdout, new RegExp(`^✓ {2}good {4}stdio {6}\\d.\\d\\ds {5}${toolNames.length} {2}`, "m"))
        assert.match(human.stdout, /^✗ {2}broken {2}stdio +ServerExited: /m)
        assert.match(human.stdout, /^error\[ServerExited\] broken: [^]*^ {2}\| FATAL no key$/m)
        assert.strictEqual((yield* run(["check", "--allow", "broken"])).status, 0)
        assert.strictEqual((yield* run(["check", "good"])).status, 0)
      })
    ))

  it.live("tools lists the tools of all reachable servers, of one server, or those that match", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        const absent = { command: "no-such-command" }
        write("mcp-sessions.json", { servers: { good: good(file), absent, other: good(file) } })
        const names = (outcome: Outcome) =>
          JSON.parse(outcome.stdout).map(({ name }: { readonly name: string }) => name)
        assert.strictEqual(names(yield* run(["tools", "good", "--json"])).length, toolNames.length)
        assert.deepStrictEqual(names(yield* run(["tools", "good", "--grep", "ECH", "--json"])), ["echo"])
        assert.strictEqual(JSON.parse((yield* run(["tools", "good/echo", "--json"])).stdout).name, "echo")
        const all = yield* run(["tools", "--json"])
        assert.strictEqual(all.status, 4)
        const { servers } = JSON.parse(all.stdout)
        assert.deepStrictEqual(servers.map(({ name }: { readonly name: string }) => name), ["good", "absent", "other"])
        assert.deepStrictEqual(
          servers.map(({ tools }: { readonly tools?: ReadonlyArray<unknown> }) => tools?.length),
          [toolNames.length, undefined, toolNames.length]
        )
        assert.strictEqual(servers[1].error.code, "SpawnFailed")
        assert.include((yield* run(["tools"])).stdout, "other\n")
      })
    ))

  it.live("call prints the result of a tool as text or as JSON", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { good: good(file) } })
        const human = yield* run(["call", "good/echo", "message=hello", "--no-validate"])
        assert.deepStrictEqual(human, { status: 0, stdout: "hello\n", stderr: "" })
        const json = yield* run(["call", "good/echo", "--args", "{\"message\":\"hello\"}", "--json"])
        assert.deepStrictEqual(JSON.parse(json.stdout), { content: [{ type: "text", text: "hello" }] })
        assert.strictEqual(json.stderr, "")
        const input = yield* run(["call", "good/echo", "--args", "-"], { input: "{\"message\":\"from stdin\"}" })
        assert.strictEqual(input.stdout, "from stdin\n")
      })
    ))

  it.live("call writes a result of 300 KB completely into a slow pipe", () =>
    inWorkplace(({ start, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { good: good(file) } })
        write("large.json", { message: "x".repeat(300_000) })
        const child = start(["call", "good/echo", "--args", "@large.json"])
        let size = 0
        yield* Effect.promise(async () => {
          for await (const chunk of child.stdout ?? []) {
            size += chunk.length
            await new Promise((resolve) => setTimeout(resolve, 5))
          }
          if (child.exitCode === null) await once(child, "exit")
        })
        assert.strictEqual(size, 300_001)
        assert.strictEqual(child.exitCode, 0)
      })
    ))

  it.live("call exits with 1 if the disk is full", () =>
    inWorkplace(({ directory, write }, file) =>
      Effect.sync(() => {
        write("mcp-sessions.json", { servers: { good: good(file) } })
        const command = `"$0" "$1" --trust call good/echo message=x --no-validate > /dev/full; echo $?`
        const output = execFileSync("bash", ["-c", command, node, bin], {
          cwd: directory,
          encoding: "utf8",
          stdio: "pipe"
        })
        assert.strictEqual(output, "1\n")
      })
    ))

  it.live("notes that no servers are configured and exits with 0", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: {} })
        for (const command of ["servers", "check", "tools"]) {
          assert.deepStrictEqual(yield* run([command]), {
            status: 0,
            stdout: "",
            stderr: "no servers are configured\n"
          })
        }
      })
    ))

  it.live("call exits with 0 and without a message if the reader closes the pipe", () =>
    inWorkplace(({ directory, write }, file) =>
      Effect.sync(() => {
        write("mcp-sessions.json", { servers: { good: good(file) } })
        write("large.json", { message: "x".repeat(300_000) })
        const command =
          `"$0" "$1" --trust call good/echo --args @large.json | head -c 10; echo; echo "\${PIPESTATUS[0]}"`
        const output = execFileSync("bash", ["-c", command, node, bin], {
          cwd: directory,
          encoding: "utf8",
          stdio: "pipe"
        })
        assert.strictEqual(output, "xxxxxxxxxx\n0\n")
      })
    ))
})

describe.concurrent("exit statuses", () => {
  const servers = (file: string) => ({
    good: good(file),
    refused: { url: "http://127.0.0.1:1/mcp" },
    absent: { command: "no-such-command" },
    crashing: faulty("exit", file, "3", "FATAL_no_key"),
    mute: faulty("mute", file),
    modern: { ...faulty("plain", file), protocol: "2026-07-28" },
    off: { ...good(file), disabled: true }
  })

  const table: ReadonlyArray<
    readonly [title: string, words: ReadonlyArray<string>, status: number, code: string, outcome?: string]
  > = [
    ["an unknown command", ["frobnicate"], 2, "Usage"],
    ["no command", [], 2, "Usage"],
    ["an unknown flag", ["check", "--frob"], 2, "Usage"],
    ["a flag without its value", ["call", "good/echo", "--timeout"], 2, "Usage"],
    ["an invalid duration", ["check", "--timeout", "soon"], 2, "Usage"],
    ["an unknown server", ["check", "god"], 2, "Usage"],
    ["an unknown server in a target", ["call", "god/echo"], 2, "Usage"],
    ["a target without a tool", ["call", "good"], 2, "Usage"],
    ["a disabled server", ["call", "off/echo"], 2, "DisabledServer"],
    ["a disabled server to check", ["check", "off"], 2, "DisabledServer"],
    ["an unknown server in --allow", ["check", "good", "--allow", "god"], 2, "Usage"],
    ["an argument that cannot be parsed", ["call", "good/echo", "nonsense"], 2, "Usage"],
    ["a missing file of arguments", ["call", "good/echo", "--args", "@none.json"], 2, "Usage"],
    ["arguments that are not an object", ["call", "good/echo", "--args", "[1]"], 2, "Usage"],
    ["a command that is not installed", ["call", "absent/echo"], 4, "SpawnFailed", "not_sent"],
    ["a server that exits at start", ["tools", "crashing"], 4, "ServerExited", "not_sent"],
    ["a server that does not respond", ["tools", "mute", "--timeout", "700ms"], 4, "ConnectTimeout", "not_sent"],
    ["a port without a listener", ["tools", "refused", "--timeout", "2s"], 4, "ConnectionRefused", "not_sent"],
    ["a tool that fails", ["call", "good/fail"], 5, "ToolError", "failed"],
    ["an unknown tool", ["call", "good/ech"], 5, "ToolNotFound", "not_sent"],
    [
      "a call that exceeds the time limit",
      ["call", "good/hang", "--timeout", "4s"],
      12,
      "OutcomeUnknown",
      "unknown"
    ],
    ["a server that exits during a call", ["call", "good/die"], 12, "OutcomeUnknown", "unknown"],
    ["a JSON-RPC error", ["call", "good/reject"], 14, "ProtocolFailed", "failed"],
    ["a protocol revision that the server does not support", ["tools", "modern"], 14, "HandshakeFailed", "not_sent"]
  ]
  for (const [title, words, status, code, outcome] of table) {
    it.live(`exits with ${status} and code ${code} on ${title}`, () =>
      inWorkplace(({ run, write }, file, read) =>
        Effect.gen(function*() {
          write("mcp-sessions.json", { servers: servers(file) })
          const json = yield* run([...words, "--json"])
          const error = errorOf(json)
          assert.deepStrictEqual([json.status, error.code], [status, code], json.stderr)
          if (outcome !== undefined) assert.strictEqual(error.outcome, outcome)
          if (code === "ToolError") assert.isTrue(JSON.parse(json.stdout).isError)
          else assert.strictEqual(json.stdout, "")
          assert.notInclude(json.stderr, "    at ")
          yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
        })
      ))
  }

  it.live("exits with 3 if a server requires credentials", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        const server = yield* Http.start(({ response }) => {
          response.writeHead(401).end()
          return true
        })
        write("mcp-sessions.json", {
          servers: { guarded: { url: server.url, headers: { authorization: "Bearer s3cret" } } }
        })
        const outcome = yield* run(["tools", "guarded", "--json"])
        assert.deepStrictEqual([outcome.status, errorOf(outcome).code], [3, "AuthRequired"])
        assert.notInclude(outcome.stderr, "s3cret")
        const check = JSON.parse((yield* run(["check", "--json"])).stdout)
        assert.strictEqual(check.servers[0].state, "auth_required")
      })
    ))

  it.live("words the errors of the parser like its own, with a suggestion", () =>
    inWorkplace(({ run }) =>
      Effect.gen(function*() {
        const table: ReadonlyArray<readonly [words: ReadonlyArray<string>, expected: string]> = [
          [[], "no command given"],
          [["chek"], "unknown command \"chek\"; did you mean \"check\"?"],
          [["check", "--timout", "5s"], "unknown flag \"--timout\"; did you mean \"--timeout\"?"],
          [["check", "--timeout"], "--timeout: missing value; expected duration"],
          [
            ["check", "--timeout", "soon"],
            "--timeout: expected a number of seconds, or a duration such as 500ms or 2m, not \"soon\""
          ],
          [["call"], "missing argument <server/tool>"],
          [["servers", "x"], "unexpected argument \"x\""]
        ]
        for (const [words, expected] of table) {
          assert.include((yield* run(words)).stderr, `error[Usage]: ${expected}\n  try: mcp-sessions`)
        }
      })
    ))

  it.live("reports where --args is not JSON, and which file it cannot read", () =>
    inWorkplace(({ directory, run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        write("args.json", "{\n  \"message\": \"x\",\n}")
        const table: ReadonlyArray<readonly [args: string, expected: string]> = [
          ["{a:1}", "expected a JSON object; at line 1, column 2: expected a key in double quotes"],
          ["@args.json", "expected a JSON object; at line 3, column 1: expected a key in double quotes"],
          ["[1]", "expected a JSON object\n"],
          ["@none.json", `no such file: ${join(directory, "none.json")}\n`]
        ]
        for (const [args, expected] of table) {
          const outcome = yield* run(["call", "good/echo", "--args", args])
          assert.strictEqual(outcome.status, 2)
          assert.include(outcome.stderr, `error[Usage]: --args: ${expected}`)
        }
      })
    ))

  it.live("quotes the name of a server in a command to try", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        for (const [name, word] of [["my $(server)", "'my $(server)'"], ["-x", "-- -x"]] as const) {
          write("mcp-sessions.json", { servers: { [name]: good(file) } })
          const { stderr } = yield* run(["call", ...name.startsWith("-") ? ["--"] : [], `${name}/`])
          assert.include(stderr, `  try: mcp-sessions tools ${word}\n`)
        }
        assert.strictEqual((yield* run(["tools", "--", "-x"])).status, 0)
      })
    ))

  it.live("notes each retry on stderr with the failure that caused it", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        const words = ["tools", "refused", "--timeout", "500ms"]
        assert.match((yield* run(words)).stderr, /^refused: cannot reach .* \(ECONNREFUSED\); retry 1$/m)
        const [line = ""] = (yield* run([...words, "--json"])).stderr.split("\n")
        assert.deepStrictEqual(JSON.parse(line), {
          retry: { server: "refused", attempt: 1, code: "ConnectionRefused" }
        })
      })
    ))

  it.live("prints the tail of stderr and a hint", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: servers(file) })
        const crash = yield* run(["tools", "crashing"])
        assert.include(crash.stderr, "error[ServerExited] crashing: the server exited with code 3")
        assert.include(crash.stderr, "  | FATAL no key")
        assert.include(
          (yield* run(["call", "good/ech"])).stderr,
          "the server has no tool \"ech\"; did you mean \"echo\"?"
        )
        assert.include((yield* run(["check", "god"])).stderr, "did you mean \"good\"?")
      })
    ))
})

/** A server whose lists and results are of shapes that no revision of the protocol describes. */
const oddServer = `
const evil = "read\\ndelete_everything\\u202e\\u200b\\u{e0041}\\u001b[2J"
const results = {
  bare: '{"content":[{"type":"text","text":"done"}]}',
  odd: '{"content":[{"type":"text","text":"placed"},{"type":"image"},{"type":"resource","resource":null},{"type":"video"}]}',
  exact: '{"content":[],"structuredContent":{"id":1915883588174806058,"list":[1e400,1.0],"word":"\\\\u202e"}}'
}
const tools = [
  { name: "bare", description: null }, { name: "odd", inputSchema: null }, { name: "exact", inputSchema: [] },
  { name: "long", description: "\\n  First line.\\nSecond line." },
  { name: evil, description: evil, inputSchema: { type: "object", description: evil } },
  { name: "echo", inputSchema: { type: "object", properties: { n: { type: "integer" } } } }
]
const answer = ({ id, method, params }, line) => {
  const result = method === "initialize"
    ? { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: evil, version: "1" } }
    : method === "tools/list" ? { tools } : undefined
  const echo = () => JSON.stringify({ content: [{ type: "text", text: /"arguments":([{][^}]*})/.exec(line)?.[1] }] })
  const json = result === undefined ? (results[params?.name] ?? (params?.name === "echo" ? echo() : "{}")) : JSON.stringify(result)
  process.stdout.write('{"jsonrpc":"2.0","id":' + id + ',"result":' + json + '}\\n')
}
let rest = ""
process.stdin.on("data", (chunk) => {
  rest += chunk
  for (let end; (end = rest.indexOf("\\n")) >= 0; rest = rest.slice(end + 1)) {
    const line = rest.slice(0, end)
    const message = JSON.parse(line)
    if (message.id !== undefined) answer(message, line)
  }
}).on("end", () => process.exit(0))
`

describe.concurrent("a server that sends what it should not", () => {
  const withOdd = (use: (run: Workplace["run"]) => Effect.Effect<void>) =>
    inWorkplace(({ run, write }) =>
      Effect.suspend(() => {
        const file = write("odd.mjs", oddServer)
        write("mcp-sessions.json", { servers: { s: { command: node, args: [file], protocol: "legacy" } } })
        return use(run)
      })
    )

  it.live("forges no rows and hides no characters in names and descriptions", () =>
    withOdd((run) =>
      Effect.gen(function*() {
        const shown = String.raw`read\ndelete_everything\u202e\u200b\u{e0041}\u001b[2J`
        const { stdout } = yield* run(["tools", "s"])
        assert.strictEqual(stdout.trimEnd().split("\n").length, 6)
        assert.match(stdout, /^long +First line\. …$/m)
        assert.include(stdout, shown)
        assert.include((yield* run(["check"])).stdout, shown)
        for (const words of [["tools", "s", "--json"], ["check", "--json"], ["tools", "s", "--schema"]]) {
          const outcome = yield* run(words)
          assert.strictEqual(outcome.status, 0)
          for (const hidden of ["\u202e", "\u200b", "\u{e0041}", "\u001b"]) assert.notInclude(outcome.stdout, hidden)
          if (words.includes("--json")) assert.include(JSON.stringify(JSON.parse(outcome.stdout)), "\u202e\u200b")
        }
      })
    ))

  it.live("has tools without an input schema listed and called", () =>
    withOdd((run) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* run(["tools", "s/bare"])).stdout, "bare\n[no input schema]\n")
        for (const words of [["call", "s/bare"], ["call", "s/bare", "any=thing"]]) {
          assert.deepStrictEqual(yield* run(words), { status: 0, stdout: "done\n", stderr: "" })
        }
      })
    ))

  it.live("has its results shown as far as they go", () =>
    withOdd((run) =>
      Effect.gen(function*() {
        const { status, stdout } = yield* run(["call", "s/odd"])
        assert.strictEqual(status, 0)
        assert.match(stdout, /^placed\n.*"image".*\n.*"resource".*\n.*"video".*\n$/)
        assert.strictEqual(JSON.parse((yield* run(["call", "s/odd", "--json"])).stdout).content.length, 4)
      })
    ))

  it.live("gets and gives numbers that JavaScript cannot hold, digit by digit", () =>
    withOdd((run) =>
      Effect.gen(function*() {
        for (const words of [["n=9007199254740993"], ["n:=9007199254740993"], ["--args", "{\"n\":9007199254740993}"]]) {
          assert.include((yield* run(["call", "s/echo", ...words])).stdout, "{\"n\":9007199254740993}")
        }
        for (const words of [["call", "s/exact"], ["call", "s/exact", "--json"]]) {
          const { stdout } = yield* run(words)
          assert.include(stdout, "1915883588174806058")
          assert.match(stdout, /1e400,\s*1\s/)
        }
      })
    ))
})

describe.concurrent("configuration files", () => {
  const table: ReadonlyArray<readonly [title: string, content: unknown, codes: ReadonlyArray<string>]> = [
    ["with a syntax error", "{ \"servers\": { ,", ["InvalidSyntax"]],
    ["with a mistyped key and no transport", { servers: { a: { comand: "x" } } }, ["MissingTransport", "UnknownKey"]],
    ["without servers", { something: 1 }, ["InvalidDocument"]],
    ["with two lists of servers", { servers: {}, mcpServers: {} }, ["ConflictingKeys"]],
    ["with servers that are not an object", { servers: [] }, ["InvalidValue"]],
    [
      "with several problems",
      {
        servers: {
          a: { command: "x", headers: {} },
          b: { url: "${NOPE}" },
          c: { type: "smoke" },
          d: {},
          e: { url: "${a:b}", argz: 1 }
        }
      },
      ["MisplacedKey", "MissingVariable", "UnsupportedTransport", "MissingTransport", "InvalidValue", "UnknownKey"]
    ],
    [
      "with unset and nested variables",
      {
        servers: {
          a: { command: "x", args: ["--key=${NOPE}"], env: { KEY: "${NOPE}" } },
          b: { url: "https://h", headers: { authorization: "Bearer ${NOPE:-${HOME}}", other: "${a.env.KEY}" } }
        }
      },
      ["MissingVariable", "MissingVariable", "InvalidValue", "InvalidValue"]
    ]
  ]
  for (const [title, content, codes] of table) {
    it.live(`rejects a configuration ${title} with exit status 10 and all its problems`, () =>
      inWorkplace(({ run, write }) =>
        Effect.gen(function*() {
          write("mcp-sessions.json", content)
          const outcome = yield* run(["config", "check", "--json"])
          assert.strictEqual(outcome.status, 10)
          const { problems } = errorOf(outcome)
          assert.deepStrictEqual(problems.map(({ code }: { readonly code: string }) => code), codes)
          for (const { source } of problems) assert.strictEqual(source, "mcp-sessions.json")
        })
      ))
  }

  it.live("reports keys that occur twice, reserved keys and deep documents with their positions", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        write(
          "mcp-sessions.json",
          "{\"servers\": {\n  \"a\": {\"command\": \"x\"},\n  \"a\": {\"env\": {\"K\": \"1\", \"K\": \"2\"}},\n  \"__proto__\": {}\n}}"
        )
        const outcome = yield* run(["config", "check", "--json"])
        assert.strictEqual(outcome.status, 10)
        assert.deepStrictEqual(
          errorOf(outcome).problems.map(({ code, column, line, path }: Record<string, unknown>) => [
            code,
            path,
            line,
            column
          ]),
          [
            ["DuplicateKey", "$.servers.a", 3, 3],
            ["DuplicateKey", "$.servers.a.env.K", 3, 27],
            ["MissingTransport", "$.servers.a", 3, 3],
            ["ReservedKey", "$.servers.__proto__", 4, 3],
            ["MissingTransport", "$.servers.__proto__", 4, 3]
          ]
        )
        assert.include((yield* run(["servers"])).stdout, "from mcp-sessions.json:3:3 at $.servers.a")

        write("mcp-sessions.json", `{"servers":${"[".repeat(200_000)}${"]".repeat(200_000)}}`)
        const deep = yield* run(["servers"])
        assert.strictEqual(deep.status, 10)
        assert.include(deep.stderr, "expected at most 64 levels of lists and objects")
        assert.include(deep.stderr, "from mcp-sessions.json:1:75")
      })
    ))

  it.live("rejects a configuration that is no regular file or too large, without reading it", () =>
    inWorkplace(({ directory, run, write }) =>
      Effect.gen(function*() {
        execFileSync("mkfifo", [join(directory, "pipe")])
        write("large.json", " ".repeat(9 * 1024 * 1024))
        const expected = {
          pipe: "not a pipe",
          "/dev/zero": "a device",
          ".": "a directory",
          "large.json": "at most 8 MiB"
        }
        for (const [file, text] of Object.entries(expected)) {
          const outcome = yield* run(["servers", "--config", file])
          assert.strictEqual(outcome.status, 10)
          assert.include(outcome.stderr, text)
        }
        write("mcp-sessions.json", { servers: { s: { command: "x" } } })
        const args = yield* run(["call", "s/t", "--args", "@pipe"])
        assert.strictEqual(args.status, 2)
        assert.include(args.stderr, "not a pipe")
      })
    ))

  it.live("reports a missing configuration with exit status 10 and the names that it searched for", () =>
    inWorkplace(({ directory, run }) =>
      Effect.gen(function*() {
        const none = yield* run(["servers"])
        assert.strictEqual(none.status, 10)
        assert.include(none.stderr, "mcp-sessions.json, mcp-sessions.jsonc, .mcp.json")
        const named = yield* run(["servers", "--config", "nowhere.json"])
        assert.strictEqual(named.status, 10)
        assert.include(named.stderr, `no such file: ${join(directory, "nowhere.json")}\n`)
      })
    ))

  it.live("reports the line and column of a syntax error in a configuration", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", "{\n  \"servers\": nope\n}")
        assert.include((yield* run(["servers"])).stderr, "from mcp-sessions.json:2:14")
      })
    ))

  it.live("replaces variables in a configuration from the environment and rejects an unset variable", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("custom.json", {
          mcpServers: {
            good: {
              ...good(file),
              env: { A: "${SET}", B: "x${UNSET:-fallback}y", C: "${EMPTY:-default}", D: "$PLAIN" }
            }
          }
        })
        const words = ["call", "good/environment", "--config", "custom.json"]
        const outcome = yield* run(words, { env: { SET: "value", EMPTY: "" } })
        const environment = JSON.parse(outcome.stdout)
        assert.deepInclude(environment, { A: "value", B: "xfallbacky", C: "default", D: "$PLAIN" })
        const missing = yield* run(words)
        assert.strictEqual(missing.status, 10)
        assert.include(missing.stderr, "error[MissingVariable] good: the variable SET is not set")
        assert.include(missing.stderr, "at $.mcpServers.good.env.A")
      })
    ))

  it.live("does not replace variables in the value of a variable and does not print secrets", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", {
          servers: {
            good: { ...good(file), env: { KEY: "${MINE}" } },
            other: { url: "http://127.0.0.1:1/", headers: { authorization: "${THEIRS}" } }
          }
        })
        const env = { MINE: "${THEIRS}", THEIRS: "s3cret" }
        const { KEY } = JSON.parse((yield* run(["call", "good/environment"], { env })).stdout)
        assert.strictEqual(KEY, "${THEIRS}")
        for (const words of [["servers"], ["servers", "--json"], ["tools", "other", "--json"]]) {
          const { stderr, stdout } = yield* run(words, { env })
          assert.notInclude(stdout + stderr, "s3cret")
        }
      })
    ))

  it.live("checks and uses the other servers of a file with a bad entry", () =>
    inWorkplace(({ run, write }, file) =>
      Effect.gen(function*() {
        write(".mcp.json", { mcpServers: { bad: { comand: "x" }, good: good(file) } })
        const check = yield* run(["check"])
        assert.strictEqual(check.status, 13)
        assert.match(check.stdout, /✗ +bad +.*MissingTransport/)
        assert.match(check.stdout, /✓ +good +stdio/)
        assert.include(check.stdout, "1 of 2 healthy")
        const { servers: [bad] } = JSON.parse((yield* run(["check", "--json"])).stdout)
        assert.deepInclude(bad, { name: "bad", state: "unhealthy", isHealthy: false })
        assert.strictEqual(bad.lastError.code, "MissingTransport")
        assert.strictEqual((yield* run(["call", "good/echo", "message=x", "--no-validate"])).stdout, "x\n")
        const used = yield* run(["tools", "bad"])
        assert.strictEqual(used.status, 10)
        assert.include(used.stderr, "error[MissingTransport] bad")
        const all = yield* run(["tools", "--json"])
        assert.strictEqual(all.status, 10)
        assert.strictEqual(JSON.parse(all.stdout).servers[1].tools.length, toolNames.length)
      })
    ))

  it.live("starts no program of a project file that is not trusted, and asks at a terminal", () =>
    inWorkplace(({ run, write }, file, ledger) =>
      Effect.gen(function*() {
        write(".mcp.json", { mcpServers: { good: good(file) } })
        const words = ["--json=false", "call", "good/echo", "message=x", "--no-validate"]
        const untrusted = yield* run(words)
        assert.strictEqual(untrusted.status, 10)
        assert.include(untrusted.stderr, "error[UntrustedFile] good")
        assert.strictEqual((yield* run(words, { typed: ["n"] })).status, 10)
        assert.deepStrictEqual(ledger("process"), [])
        const asked = yield* run(words, { typed: ["y"] })
        assert.strictEqual(asked.status, 0)
        assert.include(asked.stderr, "trust this content of the file? [y/N] y")
        // The answer is kept for this content of the file, and for no other.
        assert.strictEqual((yield* run(words)).status, 0)
        write(".mcp.json", { mcpServers: { good: { ...good(file), env: { A: "1" } } } })
        assert.strictEqual((yield* run(words)).status, 10)
      })
    ))

  it.live("reads mcp-sessions.jsonc if .mcp.json exists too", () =>
    inWorkplace(({ run, write }) =>
      Effect.gen(function*() {
        write(".mcp.json", { mcpServers: { other: { command: "x" } } })
        write("mcp-sessions.jsonc", { servers: { own: { command: "x" } } })
        const { servers } = JSON.parse((yield* run(["servers", "--json"])).stdout)
        assert.deepInclude(servers[0], { name: "own", source: "mcp-sessions.jsonc" })
      })
    ))
})

describe.concurrent("signals", () => {
  for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    it.live(`cancels the call on ${signal}, stops the server process and exits with ${status}`, () =>
      inWorkplace(({ start, write }, file, read) =>
        Effect.gen(function*() {
          write("mcp-sessions.json", { servers: { good: good(file) } })
          const child = start(["call", "good/hang"])
          let stderr = ""
          child.stderr?.setEncoding("utf8").on("data", (chunk: string) => stderr += chunk)
          yield* until(() => read("hang"), (started) => started.length === 1)
          child.kill(signal)
          yield* Effect.promise(() => once(child, "close"))
          const stopping =
            "stopping: cancelling calling good/hang, and closing the connections; Ctrl+C again ends at once\n"
          assert.strictEqual(stderr, stopping)
          assert.strictEqual(child.exitCode, status)
          assert.strictEqual(read("cancelled").length, 1)
          assert.deepStrictEqual(read("process").filter(isAlive), [])
        })
      ))
  }

  it.live("says in JSON what a signal interrupts with --json", () =>
    inWorkplace(({ start, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { good: good(file) } })
        const child = start(["call", "good/hang", "--json"])
        let stderr = ""
        child.stderr?.setEncoding("utf8").on("data", (chunk: string) => stderr += chunk)
        yield* until(() => read("hang"), (started) => started.length === 1)
        child.kill("SIGINT")
        yield* Effect.promise(() => once(child, "close"))
        assert.deepStrictEqual(JSON.parse(stderr), { stopping: { requests: ["calling good/hang"] } })
      })
    ))

  it.live("stops a server process that ignores SIGTERM if SIGTERM arrives while connecting", () =>
    inWorkplace(({ start, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { mute: faulty("mute", file) } })
        const child = start(["tools", "mute"])
        yield* until(() => read("message"), (messages) => messages.length > 0)
        child.kill("SIGTERM")
        yield* Effect.promise(() => once(child, "exit"))
        assert.strictEqual(child.exitCode, 143)
        assert.deepStrictEqual(read("process").filter(isAlive), [])
      })
    ))

  it.live("exits at once and stops the server process on a second signal", () =>
    inWorkplace(({ start, write }, file, read) =>
      Effect.gen(function*() {
        write("mcp-sessions.json", { servers: { mute: faulty("mute", file) } })
        const child = start(["tools", "mute"])
        yield* until(() => read("message"), (messages) => messages.length > 0)
        child.kill("SIGINT")
        yield* until(() => read("end"), (ends) => ends.length > 0)
        child.kill("SIGINT")
        yield* Effect.promise(() => once(child, "exit"))
        assert.strictEqual(child.exitCode, 130)
        yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
      })
    ))
})
