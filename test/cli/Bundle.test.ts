import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { bin, ended, workplace } from "./cli.ts"

describe("the published bundle", () => {
  it("has no `using`, which Node 22 does not know", () => {
    const directory = dirname(bin)
    const modern = readdirSync(directory).filter((file) =>
      /\busing [\w$]+\s*=/.test(readFileSync(join(directory, file), "utf8"))
    )
    assert.deepStrictEqual(modern, [])
  })

  it("answers --version without loading anything else", () => {
    const imported = Array.from(
      readFileSync(bin, "utf8").matchAll(/(?:import|from)\s*["'](.+?)["']/g),
      ([, file = ""]) => readFileSync(join(dirname(bin), file), "utf8")
    )
    assert.isNotEmpty(imported)
    for (const code of imported) assert.isBelow(code.length, 2000)
  })

  it("has what uses Redis in one file, which `serve --redis` loads", () => {
    const directory = dirname(bin)
    const files = readdirSync(directory).filter((file) =>
      readFileSync(join(directory, file), "utf8").includes("EVALSHA")
    )
    assert.strictEqual(files.length, 1)
    assert.match(files[0] ?? "", /^redisStores-/)
  })

  it.live("runs without any other file, and keeps compiled code in the cache of its user", () =>
    Effect.gen(function*() {
      const { directory, start, write } = yield* workplace
      const cache = join(directory, "cache")
      write(".mcp.json", { mcpServers: { everything: { command: "mcp-server-everything", args: ["stdio"] } } })
      assert.deepStrictEqual(
        yield* ended(start(["call", "everything/echo", "message=hi"], { XDG_CACHE_HOME: cache })),
        {
          status: 0,
          stdout: "Echo: hi\n",
          stderr: ""
        }
      )
      assert.isNotEmpty(readdirSync(join(cache, "mcp-sessions")))
    }).pipe(Effect.scoped))
})
