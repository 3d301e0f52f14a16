import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { ended, workplace } from "./cli.ts"

describe("the published bundle", () => {
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
