import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ended, workplace } from "./cli.ts"

describe("the published bundle", () => {
  it.live("runs without any other file", () =>
    Effect.gen(function*() {
      const { start, write } = yield* workplace
      write(".mcp.json", { mcpServers: { everything: { command: "mcp-server-everything", args: ["stdio"] } } })
      assert.deepStrictEqual(yield* ended(start(["call", "everything/echo", "message=hi"])), {
        status: 0,
        stdout: "Echo: hi\n",
        stderr: ""
      })
    }).pipe(Effect.scoped))
})
