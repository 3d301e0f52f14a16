/**
 * What the README says beside its TypeScript examples, which Docs.test.ts executes.
 */
import { assert, describe, it } from "@effect/vitest"
import { ServerConfig } from "@mcp-sessions/core"
import { Duration, Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { workplace } from "./cli/cli.ts"

const root = join(import.meta.dirname, "..")
const readme = readFileSync(join(root, "README.md"), "utf8")
const fences = (language: string) =>
  Array.from(readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm")), ([, code = ""]) => code)

describe("README", () => {
  it.live("shows commands that work on the configuration that it shows", () =>
    Effect.gen(function*() {
      const { run, write } = yield* workplace
      write(".mcp.json", fences("json")[0])
      const lines = (fences("sh")[1] ?? "").trimEnd().split("\n")
      assert.strictEqual(lines.length, 6)
      for (const line of lines) {
        const words = Array.from(
          line.replace(/\s#.*$/, "").matchAll(/'([^']*)'|(\S+)/g),
          ([, quoted, plain]) => quoted ?? plain ?? ""
        )
        assert.strictEqual(words.shift(), "mcp-sessions")
        const { status, stderr, stdout } = yield* run(words)
        assert.strictEqual(status, 0, line + stderr)
        assert.notStrictEqual(stdout, "", line)
      }
    }).pipe(Effect.scoped))

  it("names commands that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    const pages = readme + readFileSync(join(root, "CONTRIBUTING.md"), "utf8")
    const named = Array.from(pages.matchAll(/pnpm@12 (\w+)/g), ([, name = ""]) => name)
    for (const name of named) assert.isTrue(name in scripts || ["changeset", "exec"].includes(name), name)
    assert.include(named, "demo")
  })

  it.effect("tells the defaults that there are", () =>
    Effect.gen(function*() {
      const stdio: Record<string, unknown> = yield* ServerConfig.decode({ transport: "stdio", command: "x", args: [] })
      const http: Record<string, unknown> = yield* ServerConfig.decode({
        transport: "streamable_http",
        url: "http://h"
      })
      const [, table = ""] = readme.split("## Defaults")
      const rows = Array.from(
        table.split("## ")[0]?.matchAll(/^\| `(\w+)` +\|[^|]*\| ([^|]*) \|/gm) ?? [],
        ([, key = "", text = ""]) => ({ key, text: text.trim() })
      )
      const shown = (value: unknown) =>
        Duration.isDuration(value)
          ? Duration.toMillis(value)
          : typeof value === "object" && value !== null
          ? ("name" in value ? value.name : Object.keys(value).length === 0 ? "none" : value)
          : value
      const read = (text: string) =>
        /^\d+ \w+$/.test(text) ? Duration.toMillis(Duration.fromInputUnsafe(text as "1 second")) : text
      for (const { key, text } of rows) {
        const [local = "", remote = local] = text.replace(" stdio", "").replace(" else", "").split(", ")
        if (key in stdio) assert.strictEqual(String(shown(stdio[key])), String(read(local)), key)
        if (key in http) assert.strictEqual(String(shown(http[key])), String(read(remote)), key)
      }
      const keys = new Set([...Object.keys(stdio), ...Object.keys(http)])
      for (const own of ["transport", "command", "args", "url"]) keys.delete(own)
      assert.deepStrictEqual(rows.map(({ key }) => key).toSorted(), [...keys].toSorted())
    }))
})
