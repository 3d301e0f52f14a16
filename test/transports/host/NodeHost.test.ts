import { assert, describe, it } from "@effect/vitest"
import { NodeHost } from "@mcp-sessions/transports"
import { ConfigProvider, Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const host = NodeHost.make()

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "host-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

describe("NodeHost", () => {
  it.effect("records trust in one content of one file, for its user only", () =>
    Effect.gen(function*() {
      const config = yield* directory
      const content = { file: "/project/.mcp.json", text: "{}" }
      yield* Effect.gen(function*() {
        assert.isFalse(yield* host.isTrusted(content))
        yield* host.trust(content)
        assert.isTrue(yield* host.isTrusted(content))
        assert.isFalse(yield* host.isTrusted({ ...content, text: "{ }" }))
        assert.isFalse(yield* host.isTrusted({ ...content, file: "/elsewhere/.mcp.json" }))
      }).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ XDG_CONFIG_HOME: config, HOME: config })))
      )
      const records = join(config, "mcp-sessions/trusted")
      assert.strictEqual(statSync(records).mode & 0o777, 0o700)
      for (const name of readdirSync(records)) assert.strictEqual(statSync(join(records, name)).mode & 0o777, 0o600)
    }).pipe(Effect.scoped))

  it.live("refuses what is missing, irregular or too large, without waiting for it", () =>
    Effect.gen(function*() {
      const path = yield* directory
      writeFileSync(join(path, "large"), "12345")
      execFileSync("mkfifo", [join(path, "pipe")])
      const reason = (name: string) =>
        Effect.map(Effect.flip(host.readFile(join(path, name), 4)), ({ reason }) => reason)
      assert.deepStrictEqual(
        yield* Effect.forEach(["none", "large/below", "large", "pipe", "."], reason),
        ["Missing", "Missing", "TooLarge", "Irregular", "Irregular"]
      )
      assert.strictEqual(yield* host.readFile(join(path, "large"), 5), "12345")
    }).pipe(Effect.scoped))

  it.live("refuses text that is not in UTF-8, as UTF-16 with and without a mark", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const utf16 = Buffer.from("{}", "utf16le")
      for (const bytes of [utf16, Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]), Buffer.from("\u00e9", "latin1")]) {
        writeFileSync(join(path, "text"), bytes)
        const refused = yield* Effect.flip(host.readFile(join(path, "text"), 100))
        assert.strictEqual(refused.reason, "NotText")
        assert.include(refused.message, "expected text in UTF-8")
      }
    }).pipe(Effect.scoped))

  it("parses an env file", () => {
    assert.deepStrictEqual(host.parseEnv("# comment\nA=1\nexport B=\"two words\"\n"), { A: "1", B: "two words" })
  })
})
