import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber } from "effect"
import type { Call } from "../../../packages/transports/src/internal/dashboard/backend.ts"
import { observedSession } from "../../../packages/transports/src/internal/dashboard/observedSession.ts"
import * as Scripted from "../../fixtures/scripted.ts"

/** A session whose calls end by the name of the tool, and the calls that it reports. */
const setting = Effect.gen(function*() {
  const { get } = yield* Sessions.Sessions
  const calls: Array<Call> = []
  const session = observedSession(yield* get("s"), (call) => void calls.push(call))
  const seen = () =>
    calls.map(({ delivery, method, name, outcome, reason }) => [method, name, outcome, delivery, reason])
  return { session, seen }
})

const script = Scripted.make({
  answer: ({ params }) => {
    switch (params?.name) {
      case "broken":
        return Effect.succeed({ content: [], isError: true })
      case "lost":
        return Effect.fail(new SessionError.TransportClosed({ delivery: "Unknown" }))
      case "refused":
        return Effect.fail(
          new SessionError.ProtocolFailed({ method: "tools/call", code: -32_602, description: "no such tool" })
        )
      case "hang":
        return Effect.never
      default:
        return Effect.succeed({ content: [], contents: [], messages: [] })
    }
  }
})

const provided = Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.never }))

describe("an observed session", () => {
  it.effect("reports each call with its outcome and how far it got", () =>
    Effect.gen(function*() {
      const { seen, session } = yield* setting
      for (const tool of ["fine", "broken", "refused", "lost"]) yield* Effect.exit(session.callTool(tool, {}))
      yield* session.readResource("file:///a")
      yield* session.getPrompt("greeting")
      assert.deepStrictEqual(seen(), [
        ["tools/call", "fine", "Succeeded", "Answered", undefined],
        ["tools/call", "broken", "ToolError", "Answered", undefined],
        ["tools/call", "refused", "Failed", "Answered", "ProtocolFailed"],
        ["tools/call", "lost", "Failed", "Unknown", "OutcomeUnknown"],
        ["resources/read", "file:///a", "Succeeded", "Answered", undefined],
        ["prompts/get", "greeting", "Succeeded", "Answered", undefined]
      ])
    }).pipe(Effect.scoped, provided))

  it.effect("reports a call that is given up", () =>
    Effect.gen(function*() {
      const { seen, session } = yield* setting
      const call = yield* Effect.forkChild(session.callTool("hang"), { startImmediately: true })
      yield* Fiber.interrupt(call)
      assert.deepStrictEqual(seen(), [["tools/call", "hang", "Cancelled", "Unknown", undefined]])
    }).pipe(Effect.scoped, provided))

  it.effect("is the session in everything else, and reports nothing of it", () =>
    Effect.gen(function*() {
      const { seen, session } = yield* setting
      yield* session.ping
      assert.deepStrictEqual([session.server, yield* session.generation, (yield* session.state)._tag], [
        "s",
        1,
        "Ready"
      ])
      assert.deepStrictEqual(seen(), [])
    }).pipe(Effect.scoped, provided))
})
