import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { workplace } from "./cli.ts"

const content = `{
  "mcpServers": {
    "program": { "command": "no-such-program", "env": { "KEY": "s3cret", "REFERRED": "\${TOKEN}" } },
    "remote": { "url": "https://example.com/mcp", "disabledTools": ["t"] }
  }
}`

describe.concurrent("config", () => {
  it.live("check prints warnings and all problems with their places, and exits with 10", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write(".mcp.json", content)
      const { status, stderr, stdout } = yield* run(["config", "check"])
      assert.strictEqual(status, 10)
      assert.include(
        stdout,
        ".mcp.json:4:51 $.mcpServers.remote.disabledTools: warning: remote: the key \"disabledTools\""
      )
      assert.include(stderr, "error[MissingVariable] program: the variable TOKEN is not set")
      assert.include(stderr, "from .mcp.json:3:74 at $.mcpServers.program.env.REFERRED")
      assert.strictEqual((yield* run(["config", "check"], { env: { TOKEN: "t" } })).status, 0)
    }).pipe(Effect.scoped))

  it.live("trust lets the current content of a project file be used, and sources shows it", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write(".mcp.json", content)
      const isTrusted = Effect.map(
        run(["config", "sources", "--json"]),
        ({ stdout }) =>
          JSON.parse(stdout).files.map(({ isTrusted, source }: Record<string, unknown>) => [source, isTrusted])
      )
      assert.deepStrictEqual(yield* isTrusted, [[".mcp.json", false]])
      const trusted = yield* run(["config", "trust"])
      assert.strictEqual(
        trusted.stdout,
        "trusted .mcp.json; these servers can now start programs or use variables:\n  program  no-such-program\n"
      )
      assert.deepStrictEqual(yield* isTrusted, [[".mcp.json", true]])
      write(".mcp.json", `${content} `)
      assert.deepStrictEqual(yield* isTrusted, [[".mcp.json", false]])
    }).pipe(Effect.scoped))

  it.live("check and show say which files are not trusted, and still check them", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write(".mcp.json", content)
      const env = { TOKEN: "t" }
      const checked = yield* run(["config", "check"], { env })
      assert.strictEqual(checked.status, 0)
      assert.include(checked.stderr, ".mcp.json is not trusted: its servers that start programs or use variables")
      assert.deepStrictEqual(JSON.parse((yield* run(["config", "check", "--json"], { env })).stdout).untrusted, [
        ".mcp.json"
      ])
      assert.include((yield* run(["config", "show", "program"], { env })).stderr, ".mcp.json is not trusted")
      assert.notInclude((yield* run(["config", "show", "remote"], { env })).stderr, "not trusted")
      yield* run(["config", "trust"])
      for (const words of [["check"], ["show", "program"]]) {
        assert.strictEqual((yield* run(["config", ...words], { env })).stderr, "")
      }
    }).pipe(Effect.scoped))

  it.live("a file that is not trusted is reported once by a command, with the servers that it concerns", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write(".mcp.json", {
        mcpServers: {
          a: { command: "x", env: { K: "${NONE}" } },
          b: { command: "y" },
          c: { url: "http://127.0.0.1:1" }
        }
      })
      const words = ["--config", "none.json"]
      assert.strictEqual((yield* run(["tools", ...words])).status, 10)
      for (const command of ["tools", "check"]) {
        // Without the flag that the tests give to commands.
        const { status, stderr, stdout } = yield* run(["--json=false", command])
        const text = stdout + stderr
        assert.strictEqual(text.split("is a project file that is not trusted").length, 2, text)
        assert.include(text, "2 of its servers start programs: a, b; read the file")
        assert.notInclude(text, "MissingVariable")
        assert.include([10, 13], status)
      }
    }).pipe(Effect.scoped))

  it.live("tools prints the failures of several servers in the order of the file", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write("mcp-sessions.json", {
        servers: { one: { command: "no-such-1" }, two: { command: "${NONE}" }, three: { command: "no-such-3" } }
      })
      const { status, stderr } = yield* run(["tools"])
      assert.strictEqual(status, 4)
      const found = stderr.split("\n").flatMap((line) =>
        /^error\[\w+\] (?:.*server )?"?(\w+)/.exec(line)?.slice(1) ?? []
      )
      assert.deepStrictEqual(found, ["one", "two", "three"])
      const { error } = JSON.parse((yield* run(["tools", "--json"])).stderr)
      assert.deepStrictEqual(error.errors.map(({ code }: { code: string }) => code), [
        "SpawnFailed",
        "MissingVariable",
        "SpawnFailed"
      ])
    }).pipe(Effect.scoped))

  it.live("servers warns of a name that means several servers, and succeeds", () =>
    Effect.gen(function*() {
      const { directory, run, write } = yield* workplace
      mkdirSync(join(directory, ".cursor"))
      write(".mcp.json", { mcpServers: { a: { url: "https://one/" } } })
      write(".cursor/mcp.json", { mcpServers: { a: { url: "https://two/" } } })
      const { status, stderr } = yield* run(["servers"])
      assert.strictEqual(status, 0)
      assert.strictEqual(
        stderr,
        "warning: the name \"a\" means different servers; use \"claude-code:a\" or \"cursor:a\"\n"
      )
    }).pipe(Effect.scoped))

  it.live("show hides secrets, also in the resolved definition, unless it is told to reveal them", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write(".mcp.json", content)
      const env = { TOKEN: "t0ken-value" }
      const written = yield* run(["config", "show", "program"], { env })
      assert.include(written.stdout, "${TOKEN}")
      for (const words of [[], ["--resolved"], ["--json"], ["--resolved", "--json"]]) {
        const { status, stderr, stdout } = yield* run(["config", "show", "program", ...words], { env })
        assert.strictEqual(status, 0)
        for (const secret of ["s3cret", "t0ken-value"]) assert.notInclude(stdout + stderr, secret)
      }
      const revealed = yield* run(["config", "show", "program", "--resolved", "--reveal"], { env })
      assert.include(revealed.stdout, "t0ken-value")
    }).pipe(Effect.scoped))
})
