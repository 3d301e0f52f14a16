import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
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
      assert.strictEqual((yield* run(["config", "trust"])).stdout, "trusted .mcp.json\n")
      assert.deepStrictEqual(yield* isTrusted, [[".mcp.json", true]])
      write(".mcp.json", `${content} `)
      assert.deepStrictEqual(yield* isTrusted, [[".mcp.json", false]])
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
