/**
 * Delivery rules: the requests that are sent again after a failure, and the requests that are not.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../../fixtures/scripted.ts"
import { sound } from "../../fixtures/soundOptions.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const lost = new SessionError.TransportFailed({ description: "reset", code: "ECONNRESET", delivery: "Unknown" })
const exited = new SessionError.ServerExited({ exitCode: null, signal: "SIGKILL", delivery: "Unknown" })
const expired = new SessionError.SessionExpired({ status: 404, delivery: "Rejected" })
const busy = new SessionError.HttpFailed({ status: 503, delivery: "Rejected" })
const unsent = new SessionError.TransportClosed({ delivery: "NotSent" })

/** A server that fails the first request with the reason and answers the others. */
const once = (reason: SessionError.Reason) =>
  Scripted.make({
    answer: ({ number }) => number === 1 ? Effect.fail(reason) : Effect.succeed({ content: [], contents: [] })
  })

const run = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.result(effect), { startImmediately: true })
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

const annotated = (trusted: boolean) => {
  let failures = 1
  const script = Scripted.make({
    answer: ({ method }) =>
      method === "tools/list"
        ? Effect.succeed({ tools: [{ name: "look", inputSchema: {}, annotations: { readOnlyHint: true } }] })
        : failures-- > 0
        ? Effect.fail(lost)
        : Effect.succeed({ content: [] })
  })
  return {
    script,
    layer: Scripted.sessions(script, {
      servers: { s: { transport: "stdio", command: "s", args: [], trusted, healthInterval: 0 } }
    })
  }
}

describe("a tool call", () => {
  for (const reason of [lost, exited, new SessionError.ResponseLost({ method: "tools/call" })]) {
    it.effect(`is not sent again after ${reason._tag}, and fails with OutcomeUnknown`, () => {
      const script = once(reason)
      return Effect.gen(function*() {
        const session = yield* get
        const error = yield* Effect.flip(session.callTool("charge"))
        assert.strictEqual(error.reason._tag, "OutcomeUnknown")
        if (error.reason._tag === "OutcomeUnknown") {
          assert.deepInclude(error.reason, { tool: "charge", method: "tools/call", sentAt: 0 })
          assert.strictEqual(error.reason.lost._tag, reason._tag)
        }
        assert.deepStrictEqual(script.requests, ["1:tools/call:charge"])
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }

  it.effect("is not sent again, even under a policy that retries everything", () => {
    const script = once(lost)
    return Effect.gen(function*() {
      const session = yield* get
      yield* run(session.callTool("charge"))
      assert.deepStrictEqual(script.requests, ["1:tools/call:charge"])
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: Schedule.recurs(5) })))
  })

  it.effect("is sent again when the caller declares it idempotent", () => {
    const script = once(lost)
    return Effect.gen(function*() {
      const session = yield* get
      const result = yield* run(session.callTool("set", {}, { idempotent: true }))
      assert.strictEqual(result._tag, "Success")
      assert.deepStrictEqual(script.requests, ["1:tools/call:set", "1:tools/call:set"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is sent again when a trusted server declares the tool read-only", () => {
    const { layer, script } = annotated(true)
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.listTools()
      assert.strictEqual((yield* run(session.callTool("look")))._tag, "Success")
      assert.strictEqual(script.requests.length, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is not sent again when an untrusted server declares the tool read-only", () => {
    const { layer, script } = annotated(false)
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.listTools()
      assert.strictEqual((yield* run(session.callTool("look")))._tag, "Failure")
      assert.strictEqual(script.requests.length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is sent again at once on a new session when the old session has expired", () => {
    const script = once(expired)
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.callTool("charge")
      assert.deepStrictEqual(script.requests, ["1:tools/call:charge", "2:tools/call:charge"])
      assert.deepStrictEqual(script.connects, [0, 0])
      assert.strictEqual(yield* session.generation, 2)
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails with a typed error, without a loop, when the new session has expired too", () => {
    const script = Scripted.make({ answer: () => Effect.fail(expired) })
    return Effect.gen(function*() {
      const session = yield* get
      const error = yield* Effect.flip(session.callTool("charge"))
      assert.strictEqual(error.reason._tag, "SessionExpired")
      assert.strictEqual(script.requests.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("initializes one new session for all callers whose session has expired", () => {
    const script = Scripted.make({
      initialize: () => Effect.sleep("10 millis"),
      answer: ({ connection }) => connection === 1 ? Effect.fail(expired) : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(get, { startImmediately: true })
      yield* TestClock.adjust("10 millis")
      const session = yield* Fiber.join(fiber)
      const all = Effect.forEach(Array.from({ length: 20 }), () => session.callTool("charge"), {
        concurrency: "unbounded"
      })
      assert.strictEqual((yield* run(all))._tag, "Success")
      assert.strictEqual(script.connects.length, 2)
      assert.strictEqual(script.requests.filter((request) => request.startsWith("2:")).length, 20)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("keeps the new session when the loss of the old one is reported late", () => {
    const script = Scripted.make({
      answer: ({ connection, params }) =>
        connection === 1
          ? Effect.andThen(params?.name === "slow" ? Effect.sleep("1 second") : Effect.void, Effect.fail(expired))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const session = yield* get
      const slow = yield* Effect.forkChild(session.callTool("slow"), { startImmediately: true })
      yield* session.callTool("fast")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(slow)
      assert.strictEqual(script.connects.length, 2)
      assert.strictEqual(yield* session.generation, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is sent at once on a new connection when it was not sent on the old one", () => {
    const script = once(unsent)
    return Effect.gen(function*() {
      const session = yield* get
      yield* session.callTool("charge")
      assert.deepStrictEqual(script.connects, [0, 0])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is retried by the policy when the server rejected it", () => {
    const script = once(busy)
    return Effect.gen(function*() {
      const session = yield* get
      const fiber = yield* Effect.forkChild(session.callTool("charge"), { startImmediately: true })
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(script.requests.length, 1)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      assert.strictEqual(script.requests.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  for (
    const [retryAfter, millis] of [
      ["7", 7000],
      ["Thu, 01 Jan 1970 00:00:07 GMT", 7000],
      ["99999999", 60_000],
      ["Fri, 31 Dec 9999 23:59:59 GMT", 60_000],
      ["0", 1000],
      ["-7", 1000],
      ["soon", 1000]
    ] as const
  ) {
    it.effect(`is sent again after ${millis} ms when it was rejected with "Retry-After: ${retryAfter}"`, () => {
      const script = once(new SessionError.HttpFailed({ status: 429, retryAfter, delivery: "Rejected" }))
      return Effect.gen(function*() {
        const session = yield* get
        const fiber = yield* Effect.forkChild(session.callTool("charge"), { startImmediately: true })
        yield* TestClock.adjust(millis - 1)
        assert.strictEqual(script.requests.length, 1)
        yield* TestClock.adjust(1)
        yield* Fiber.join(fiber)
        assert.strictEqual(script.requests.length, 2)
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }

  it.effect("is never sent again after a response, whatever the policy", () => {
    const reason = new SessionError.ProtocolFailed({ method: "tools/call", code: -32000, description: "no" })
    const script = once(reason)
    return Effect.gen(function*() {
      const session = yield* get
      const error = yield* Effect.flip(session.callTool("charge"))
      assert.strictEqual(error.delivery, "Answered")
      assert.strictEqual(script.requests.length, 1)
    }).pipe(Effect.provide(Scripted.sessions(script, { retry: Schedule.recurs(5) })))
  })

  it.effect("ends at the total timeout", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    const s = { transport: "stdio", command: "s", args: [], totalTimeout: "2 seconds" } as const
    return Effect.gen(function*() {
      const session = yield* get
      const fiber = yield* Effect.forkChild(Effect.flip(session.callTool("charge")), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "OutcomeUnknown")
    }).pipe(Effect.provide(Scripted.sessions(script, { servers: { s } })))
  })

  it.effect("reports RequestTimeout as the cause at its request timeout", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    return Effect.gen(function*() {
      const session = yield* get
      const fiber = yield* Effect.forkChild(Effect.flip(session.callTool("charge")), { startImmediately: true })
      yield* TestClock.adjust("59999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const { reason } = yield* Fiber.join(fiber)
      assert.strictEqual(reason._tag === "OutcomeUnknown" ? reason.lost._tag : reason._tag, "RequestTimeout")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("uses its own `timeout`, shorter or longer than that of the server", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    const s = { transport: "stdio", command: "s", args: [], requestTimeout: "10 seconds" } as const
    return Effect.gen(function*() {
      const session = yield* get
      for (const [timeout, millis] of [[undefined, 10_000], ["5 seconds", 5000], ["20 seconds", 20_000]] as const) {
        const fiber = yield* Effect.forkChild(Effect.flip(sound(session.callTool("charge", {}, { timeout }))), {
          startImmediately: true
        })
        yield* TestClock.adjust(millis - 1)
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust(1)
        const { reason } = yield* Fiber.join(fiber)
        const lost = reason._tag === "OutcomeUnknown" ? reason.lost : reason
        assert.deepInclude(lost, { _tag: "RequestTimeout", timeout: millis })
      }
    }).pipe(Effect.provide(Scripted.sessions(script, { servers: { s } })))
  })

  it.effect("times out at its own deadline, in any order of the deadlines in flight", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    return Effect.gen(function*() {
      const session = yield* get
      const ended: Array<string> = []
      const call = (timeout: `${number} seconds`) =>
        Effect.flip(sound(session.callTool("charge", {}, { timeout }))).pipe(
          Effect.andThen(Effect.sync(() => ended.push(timeout)))
        )
      const fibers = yield* Effect.forEach(
        ["30 seconds", "10 seconds", "20 seconds"] as const,
        (timeout) => Effect.forkChild(call(timeout), { startImmediately: true })
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(ended, ["10 seconds"])
      yield* TestClock.adjust("20 seconds")
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(ended, ["10 seconds", "20 seconds", "30 seconds"])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  for (const news of ["announced a changed tool list", "was reconnected"]) {
    it.effect(`is not sent again by an idempotentHint from before the server ${news}`, () => {
      let idempotentHint = true
      const script: Scripted.Script = Scripted.make({
        answer: ({ method }) =>
          method === "tools/call"
            ? Effect.fail(lost)
            : Effect.sync(() => ({ tools: [{ name: "t", inputSchema: {}, annotations: { idempotentHint } }] }))
      })
      return Effect.gen(function*() {
        const session = yield* get
        yield* session.listTools()
        idempotentHint = false
        if (news === "announced a changed tool list") script.notify("notifications/tools/list_changed")
        else {
          yield* script.lose(unsent)
          yield* session.ping
        }
        const { reason } = yield* Effect.flip(session.callTool("t"))
        assert.strictEqual(reason._tag, "OutcomeUnknown")
        assert.strictEqual(script.requests.filter((request) => request.endsWith("tools/call:t")).length, 1)
      }).pipe(
        Effect.provide(Scripted.sessions(script, {
          servers: { s: { transport: "stdio", command: "s", args: [], trusted: true, healthInterval: 0 } }
        }))
      )
    })
  }
})

describe("an idempotent tool call", () => {
  it.effect("is attempted 4 times in all, even if each attempt loses the connection", () => {
    const script = Scripted.make({ answer: () => Effect.fail(exited) })
    return Effect.gen(function*() {
      const session = yield* get
      const result = yield* run(session.callTool("set", {}, { idempotent: true }))
      assert.strictEqual(result._tag, "Failure")
      assert.strictEqual(script.requests.length, 4)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails with OutcomeUnknown when it was lost and cannot be sent again", () => {
    const script = Scripted.make({
      connect: (attempt) => attempt === 1 ? Effect.void : Effect.fail(Scripted.refused),
      answer: () => Effect.fail(exited)
    })
    return Effect.gen(function*() {
      const session = yield* get
      const result = yield* run(Effect.flip(sound(session.callTool("set", {}, { idempotent: true }))))
      const error = result._tag === "Success" ? result.success : undefined
      assert.strictEqual(error?.reason._tag, "OutcomeUnknown")
      assert.strictEqual(error?.delivery, "Unknown")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is recognized by fetching the tools of a trusted server after the call was lost", () => {
    const { layer, script } = annotated(true)
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      assert.strictEqual((yield* run(callTool("s", "look")))._tag, "Success")
      assert.deepStrictEqual(script.requests, ["1:tools/call:look", "1:tools/list", "1:tools/call:look"])
    }).pipe(Effect.provide(layer))
  })
})

describe("a tool result", () => {
  for (
    const [title, value] of [["is a number", 7], ["is null", null], ["has a content that is no list", {
      content: "x"
    }]] as const
  ) {
    it.effect(`fails with InvalidResult when it ${title}`, () => {
      const script = Scripted.make({ answer: () => Effect.succeed(value) })
      return Effect.gen(function*() {
        const session = yield* get
        assert.strictEqual((yield* Effect.flip(session.callTool("x"))).reason._tag, "InvalidResult")
        assert.strictEqual(script.requests.length, 1)
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }
})

describe("a read", () => {
  it.effect("is sent again after its connection was lost", () => {
    const script = once(lost)
    return Effect.gen(function*() {
      const session = yield* get
      assert.strictEqual((yield* run(session.readResource("file:///x")))._tag, "Success")
      assert.strictEqual(script.requests.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails with its own error when the policy gives up", () => {
    const script = Scripted.make({ answer: () => Effect.fail(lost) })
    return Effect.gen(function*() {
      const session = yield* get
      const result = yield* run(Effect.flip(session.readResource("file:///x")))
      assert.strictEqual(result._tag === "Success" ? result.success.reason._tag : "", "TransportFailed")
      assert.strictEqual(script.requests.length, 4)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("ends at the total timeout, however many retries the policy allows", () => {
    const script = Scripted.make({ answer: () => Effect.never })
    return Effect.gen(function*() {
      const session = yield* get
      const fiber = yield* Effect.forkChild(Effect.flip(session.readResource("file:///x")), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "RequestTimeout")
    }).pipe(
      Effect.provide(Scripted.sessions(script, { retry: RetryPolicy.spaced({ retries: 99, delay: "1 second" }) }))
    )
  })
})

describe("a list", () => {
  const pages = (next: (cursor: string | undefined) => string | undefined) =>
    Scripted.make({
      answer: ({ params }) => {
        const cursor = next(params?.cursor as string | undefined)
        return Effect.succeed({
          tools: [{ name: "x", inputSchema: {} }],
          ...(cursor === undefined ? {} : { nextCursor: cursor })
        })
      }
    })

  const listing = (script: Scripted.Script) =>
    Effect.flatMap(get, (session) => Effect.result(session.listTools())).pipe(
      Effect.provide(Scripted.sessions(script))
    )

  const reasonOf = (script: Scripted.Script) =>
    Effect.map(listing(script), (result) => result._tag === "Failure" && result.failure.reason._tag)

  it.effect("ends at a page without a cursor", () =>
    Effect.map(
      listing(pages((cursor) => cursor === undefined ? "1" : undefined)),
      (result) => assert.strictEqual(result._tag === "Success" && result.success.length, 2)
    ))

  it.effect("is rejected when a cursor repeats", () =>
    Effect.map(
      reasonOf(pages((cursor) => cursor === "a" ? "b" : "a")),
      (tag) => assert.strictEqual(tag, "PaginationExceeded")
    ))

  it.effect("is rejected after 100 pages", () => {
    let page = 0
    const script = pages(() => String(++page))
    return Effect.map(reasonOf(script), (tag) => {
      assert.strictEqual(tag, "PaginationExceeded")
      assert.strictEqual(script.requests.length, 100)
    })
  })

  it.effect("is rejected beyond 10,000 items", () => {
    const tools = Array.from({ length: 5001 }, (_, index) => ({ name: `x${index}`, inputSchema: {} }))
    let page = 0
    const script = Scripted.make({ answer: () => Effect.succeed({ tools, nextCursor: String(++page) }) })
    return Effect.map(reasonOf(script), (tag) => {
      assert.strictEqual(tag, "PaginationExceeded")
      assert.strictEqual(script.requests.length, 2)
    })
  })

  it.effect("is rejected when it is not an array", () =>
    Effect.map(
      reasonOf(Scripted.make({ answer: () => Effect.succeed({ tools: "none" }) })),
      (tag) => assert.strictEqual(tag, "InvalidResult")
    ))
})

describe("the retry budget of a server", () => {
  it.effect("allows 10 retries, however many calls fail, and grows with successful calls", () => {
    let isFailing = true
    const script = Scripted.make({
      answer: () => isFailing ? Effect.fail(lost) : Effect.succeed({ contents: [] })
    })
    return Effect.gen(function*() {
      const session = yield* get
      const read = (times: number) =>
        Effect.gen(function*() {
          const before = script.requests.length
          for (let n = 0; n < times; n++) {
            const call = yield* Effect.forkChild(Effect.exit(session.readResource("a://b")), { startImmediately: true })
            yield* Effect.raceFirst(Fiber.await(call), Effect.forever(TestClock.adjust("1 second")))
          }
          return script.requests.length - before
        })
      // Each call takes two retries until the budget is empty.
      assert.strictEqual(yield* read(100), 110)
      isFailing = false
      yield* read(20)
      isFailing = true
      assert.strictEqual(yield* read(10), 12)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("a call with a `retry` option", () => {
  it.effect("uses its own retry policy", () => {
    const script = Scripted.make({ answer: () => Effect.fail(lost) })
    return Effect.gen(function*() {
      const session = yield* get
      yield* Effect.flip(session.readResource("a://b", { retry: RetryPolicy.never }))
      assert.strictEqual(script.requests.length, 1)
      const call = session.callTool("t", {}, { idempotent: true, retry: RetryPolicy.spaced({ retries: 4, delay: 0 }) })
      yield* Effect.flip(call)
      assert.strictEqual(script.requests.length, 6)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
