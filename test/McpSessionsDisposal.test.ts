/**
 * Disposing of the promise facade while calls are pending.
 */
import { assert, describe, it } from "@effect/vitest"
import { McpSessions, SessionError } from "@mcp-sessions/core"
import { Effect } from "effect"
import { stdio } from "./fixtures/fleet.ts"
import * as Scripted from "./fixtures/scripted.ts"

describe("disposing of the promise facade", () => {
  const within = <A>(promise: Promise<A>) =>
    Promise.race([
      promise.then(() => "settled", () => "settled"),
      new Promise<string>((resolve) => setTimeout(() => resolve("pending"), 1500))
    ])

  it.live("settles a call that waits for credentials", () =>
    Effect.promise(async () => {
      const script = Scripted.make({})
      const mcp = McpSessions.make({
        servers: { s: stdio },
        transports: script.layer,
        credentials: () => new Promise(() => {})
      })
      await mcp.status("s")
      const call = mcp.callTool("s", "t")
      await new Promise((resolve) => setTimeout(resolve, 50))
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await within(call), "settled")
    }))

  it.live("settles a call that waits for its next attempt", () =>
    Effect.promise(async () => {
      const script = Scripted.make({
        answer: () => Effect.fail(new SessionError.HttpFailed({ status: 503, retryAfter: "5", delivery: "Rejected" }))
      })
      const mcp = McpSessions.make({
        servers: { s: stdio },
        transports: script.layer,
        circuit: { failures: Infinity, openFor: "5 seconds" }
      })
      await mcp.status("s")
      const call = mcp.callTool("s", "t")
      await new Promise((resolve) => setTimeout(resolve, 50))
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await within(call), "settled")
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
      const call = mcp.withFallback({ servers: ["s"] }, () => new Promise(() => {}))
      await new Promise((resolve) => setTimeout(resolve, 50))
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await within(call), "settled")
    }))
})
