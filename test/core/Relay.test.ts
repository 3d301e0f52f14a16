/**
 * Calls and notifications as callbacks: when they are possible, and how they end.
 */
import { assert, describe, it } from "@effect/vitest"
import { Mcp, type Notification, Relay, type Session, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../fixtures/scripted.ts"

const connected = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

/** Starts a call, and gives how it ended. */
const start = (session: Session.Session, options: Partial<Relay.ToolCall> = {}) =>
  Effect.callback<Mcp.CallToolResult, SessionError.SessionError>((resume) => {
    const cancel = Relay.callTool({
      session,
      tool: "charge",
      args: {},
      onSuccess: (result) => resume(Effect.succeed(result)),
      onFailure: resume,
      ...options
    })
    if (cancel === undefined) resume(Effect.die("the call needs a fiber"))
  })

const answered = () =>
  Scripted.make({
    answer: ({ report }) =>
      Effect.sync(() => {
        report({ progress: 1 })
        return { content: [{ type: "text", text: "done" }] }
      })
  })

describe("a tool call without a fiber", () => {
  it.effect("gives the result, after the progress", () => {
    const script = answered()
    return Effect.gen(function*() {
      const session = yield* connected
      const seen: Array<number> = []
      const result = yield* start(session, { onProgress: ({ progress }) => void seen.push(progress) })
      assert.deepStrictEqual([Mcp.text(result), seen], ["done", [1]])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is not started, and sends nothing, on a session that is another implementation", () => {
    const script = answered()
    return Effect.gen(function*() {
      const { callTool, server } = yield* connected
      const wrapper = { callTool, server } as Session.Session
      const started = Relay.callTool({
        session: wrapper,
        tool: "charge",
        args: {},
        onSuccess: () => assert.fail(),
        onFailure: () => assert.fail()
      })
      assert.isUndefined(started)
      assert.deepStrictEqual(script.requests, [])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("that may have run fails with OutcomeUnknown, and is not sent again", () => {
    const lost = new SessionError.TransportFailed({ description: "reset", delivery: "Unknown" })
    const script = Scripted.make({ answer: () => Effect.fail(lost) })
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip(start(yield* connected))
      assert.strictEqual(reason._tag, "OutcomeUnknown")
      assert.deepStrictEqual(script.requests, ["1:tools/call:charge"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("that was not sent is sent again by the effect that it gives", () => {
    const unsent = new SessionError.TransportClosed({ delivery: "NotSent" })
    const script = Scripted.make({
      answer: ({ number }) => number === 1 ? Effect.fail(unsent) : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      assert.deepStrictEqual(yield* start(yield* connected), { content: [] })
      assert.deepStrictEqual(script.requests, ["1:tools/call:charge", "2:tools/call:charge"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("gives back its permit when it is cancelled, and ends in no other way", () => {
    const script = Scripted.make({
      answer: ({ number }) => number === 1 ? Effect.never : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const session = yield* connected
      const never = { onSuccess: () => assert.fail(), onFailure: () => assert.fail() }
      const cancel = Relay.callTool({ session, tool: "charge", args: {}, ...never })
      cancel?.()
      cancel?.()
      assert.deepStrictEqual(yield* start(session), { content: [] })
    }).pipe(
      Effect.provide(
        Scripted.sessions(script, { servers: { s: { transport: "stdio", command: "s", maxInFlight: 1 } } })
      )
    )
  })
})

describe("a listener of notifications", () => {
  it.effect("receives what arrives while its scope is open, and asks the server for nothing", () => {
    const script = answered()
    return Effect.gen(function*() {
      const session = yield* connected
      const heard: Array<Notification.Notification["_tag"]> = []
      const listener = ({ _tag }: Notification.Notification) => void heard.push(_tag)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Relay.onNotification({ session, listener })
        script.notify("notifications/tools/list_changed")
        script.notify("notifications/message", { level: "info", data: "hi" })
      }))
      script.notify("notifications/tools/list_changed")
      assert.deepStrictEqual(heard, ["ToolsChanged", "LogMessage"])
      assert.deepStrictEqual(script.requests, [])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("makes a lost connection again, and hears the next one", () => {
    const script = answered()
    return Effect.gen(function*() {
      const session = yield* connected
      const heard: Array<Notification.Notification["_tag"]> = []
      yield* Relay.onNotification({ session, listener: ({ _tag }) => void heard.push(_tag) })
      yield* script.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* session.generation, 2)
      script.notify("notifications/tools/list_changed")
      assert.deepStrictEqual(heard, ["ToolsChanged"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
