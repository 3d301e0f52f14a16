/**
 * Checks the README apart from its TypeScript examples, which Docs.test.ts executes.
 */
import { assert, describe, it } from "@effect/vitest"
import { ServerConfig } from "@mcp-sessions/core"
import { Duration, Effect, Predicate } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { descriptionOf } from "../packages/core/src/internal/config/keys.ts"
import * as keys from "../tools/keys.ts"
import { workplace } from "./cli/cli.ts"

const root = join(import.meta.dirname, "..")
const readme = readFileSync(join(root, "README.md"), "utf8")
const fences = (language: string) =>
  Array.from(readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm")), ([, code = ""]) => code)

describe("the README", () => {
  it.live("shows commands that work with its example configuration", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write(".mcp.json", fences("json")[0])
      const lines = (fences("sh").find((code) => code.startsWith("mcp-sessions ")) ?? "").trimEnd().split("\n")
      assert.strictEqual(lines.length, 8)
      for (const line of lines) {
        const words = Array.from(
          line.replace(/\s#.*$/, "").matchAll(/'([^']*)'|(\S+)/g),
          ([, quoted, plain]) => quoted ?? plain ?? ""
        )
        assert.strictEqual(words.shift(), "mcp-sessions")
        const { status, stderr, stdout } = yield* run(words)
        assert.strictEqual(status, 0, line + stderr)
        assert.notStrictEqual(stdout + stderr, "", line)
      }
    }).pipe(Effect.scoped))

  it("names only existing commands", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    const pages = readme + readFileSync(join(root, "CONTRIBUTING.md"), "utf8")
    const named = Array.from(pages.matchAll(/pnpm@12 (\w+)/g), ([, name = ""]) => name)
    for (const name of named) assert.isTrue(name in scripts || ["changeset", "exec"].includes(name), name)
    assert.include(named, "demo")
  })

  for (const [file, update] of keys.targets) {
    it(`describes each key in ${file} as the schema does (pnpm keys)`, () => {
      const bare = (text: string) => text.replaceAll(/ {2,}/g, " ").replaceAll(/-{3,}/g, "---")
      const page = readFileSync(join(root, file), "utf8")
      assert.strictEqual(bare(page), bare(update(page)))
      for (const key of ["command", "args", "url", "cwd", "rateLimit"]) {
        assert.match(update(page), new RegExp(`\\b${key}\\b`))
      }
    })
  }

  it.effect("lists the defaults of a decoded definition", () =>
    Effect.gen(function*() {
      const shown = (value: unknown) =>
        Duration.isDuration(value)
          ? [Duration.toMillis(value)]
          : Predicate.isObject(value)
          ? "name" in value ? ["mcp-sessions and its version"] : ["none"]
          : [String(value)]
      const read = (text: string) =>
        text === "0"
          ? 0
          : /^\d+ \w+$/.test(text)
          ? Duration.toMillis(Duration.fromInputUnsafe(text as "1 second"))
          : text
      const urls = { streamable_http: "http://h", sse: "http://h", websocket: "ws://h" } as const
      for (const kind of ServerConfig.transportKinds) {
        const given = kind === "stdio" ? { command: "x" } : { url: urls[kind] }
        const config = yield* ServerConfig.decode({ transport: kind, ...given })
        const decoded = Object.entries(config).filter(([key]) => key !== "transport" && !(key in given))
        for (const [key, value] of decoded) {
          const text = descriptionOf({ kind, key })?.default ?? ""
          const start = Duration.isDuration(value) ? read(text) : text.split(/ \(|;/)[0]
          assert.deepStrictEqual(Array.isArray(value) ? ["none"] : shown(value), [start], `${kind} ${key}`)
        }
      }
    }))
})
