/**
 * Disposing of the promise facade while calls are pending.
 */
import { assert, describe, it } from "@effect/vitest"
import { McpSessions, SessionError } from "@mcp-sessions/core"
import { Effect } from "effect"
import { stdio } from "./fixtures/fleet.ts"
import * as Scripted from "./fixtures/scripted.ts"

const gate = () => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open: () => open(), opened }
}

describe("disposing of the promise facade", () => {
  /** Resolves once a promise has settled. A call that stays pending fails its test by the time limit of tests. */
  const settled = <A>(promise: Promise<A>) => promise.then(() => "settled", () => "settled")

  it.live("settles a call that waits for credentials", () =>
    Effect.promise(async () => {
      const script = Scripted.make({})
      const asked = gate()
      const mcp = McpSessions.make({
        servers: { s: stdio },
        transports: script.layer,
        credentials: () => {
          asked.open()
          return new Promise(() => {})
        }
      })
      await mcp.status("s")
      const call = mcp.callTool("s", "t")
      await asked.opened
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await settled(call), "settled")
    }))

  it.live("settles a call that waits for its next attempt", () =>
    Effect.promise(async () => {
      const refused = gate()
      const script = Scripted.make({
        answer: () =>
          Effect.suspend(() => {
            refused.open()
            return Effect.fail(new SessionError.HttpFailed({ status: 503, retryAfter: "5", delivery: "Rejected" }))
          })
      })
      const mcp = McpSessions.make({
        servers: { s: stdio },
        transports: script.layer,
        circuit: { failures: Infinity, openFor: "5 seconds" }
      })
      await mcp.status("s")
      const call = mcp.callTool("s", "t")
      await refused.opened
      // The call has received the failure at the end of this turn.
      await new Promise((resolve) => setImmediate(resolve))
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await settled(call), "settled")
    }))

  it.live("settles a fallback whose operation never ends", () =>
    Effect.promise(async () => {
      const script = Scripted.make({})
      const mcp = McpSessions.make({
        servers: { s: stdio },
        transports: script.layer,
        circuit: { failures: Infinity, openFor: "5 seconds" }
      })
      await mcp.status("s")
      const begun = gate()
      const call = mcp.withFallback({ servers: ["s"] }, () => {
        begun.open()
        return new Promise(() => {})
      })
      await begun.opened
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await settled(call), "settled")
    }))
})
