/**
 * Progress notifications of a request, and their effect on its timeout.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Mcp, SessionError, Sessions } from "@mcp-sessions/core"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../../fixtures/scripted.ts"
import { sound } from "../../fixtures/soundOptions.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

/** A server that sends progress every 40 seconds, and responds after the given number of notifications. */
const reporting = (reports: number) =>
  Scripted.make({
    answer: ({ report }) =>
      Effect.gen(function*() {
        for (let progress = 1; progress <= reports; progress++) {
          yield* Effect.sleep("40 seconds")
          report({ progress })
        }
        return { content: [] }
      })
  })

/** A server that sends progress 1, 2, … at once and then runs the given effect. */
const bursting = (
  reports: number,
  then: Effect.Effect<unknown, SessionError.Reason> = Effect.succeed({ content: [], contents: [], messages: [] })
) =>
  Scripted.make({
    answer: ({ report }) =>
      Effect.suspend(() => {
        for (let progress = 1; progress <= reports; progress++) report({ progress })
        return then
      })
  })

const lostTo = (error: SessionError.SessionError) =>
  error.reason._tag === "OutcomeUnknown" ? error.reason.lost : error.reason

describe("the timeout of a call", () => {
  it.effect("restarts with each progress notification", () =>
    Effect.gen(function*() {
      const session = yield* get
      const call = yield* Effect.forkChild(session.callTool("slow", {}, { onProgress: () => {} }), {
        startImmediately: true
      })
      yield* TestClock.adjust("200 seconds")
      assert.deepStrictEqual((yield* Fiber.join(call)).content, [])
    }).pipe(Effect.provide(Scripted.sessions(reporting(5)))))

  it.effect("does not restart without a progress handler", () =>
    Effect.gen(function*() {
      const session = yield* get
      const call = yield* Effect.forkChild(Effect.flip(session.callTool("slow")), { startImmediately: true })
      yield* TestClock.adjust("60 seconds")
      const lost = lostTo(yield* Fiber.join(call))
      assert.deepInclude(lost, { _tag: "RequestTimeout", timeout: 60_000 })
    }).pipe(Effect.provide(Scripted.sessions(reporting(5)))))

  it.effect("expires when progress stops", () => {
    const script = bursting(1, Effect.never)
    return Effect.gen(function*() {
      const session = yield* get
      const options = { onProgress: () => {}, timeout: "10 seconds" } as const
      const call = yield* Effect.forkChild(Effect.flip(sound(session.callTool("slow", {}, options))), {
        startImmediately: true
      })
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(lostTo(yield* Fiber.join(call)), { _tag: "RequestTimeout", timeout: 10_000 })
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("never exceeds the total timeout, however much progress arrives", () =>
    Effect.gen(function*() {
      const session = yield* get
      const call = yield* Effect.forkChild(Effect.flip(sound(session.callTool("slow", {}, { onProgress: () => {} }))), {
        startImmediately: true
      })
      yield* TestClock.adjust("299 seconds")
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepInclude(lostTo(yield* Fiber.join(call)), { _tag: "RequestTimeout", timeout: 300_000 })
    }).pipe(Effect.provide(Scripted.sessions(reporting(1_000)))))
})

describe("a progress handler", () => {
  it.effect("has handled all notifications, in order, when the call returns", () =>
    Effect.gen(function*() {
      const session = yield* get
      const seen: Array<number> = []
      const onProgress = ({ progress }: Mcp.Progress) =>
        Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => seen.push(progress)))
      const call = yield* Effect.forkChild(session.callTool("slow", {}, { onProgress }), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(seen, [1, 2])
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(call)
      assert.deepStrictEqual(seen, [1, 2, 3])
    }).pipe(Effect.provide(Scripted.sessions(bursting(3)))))

  it.effect("receives the latest notification of a burst that it cannot keep up with", () =>
    Effect.gen(function*() {
      const session = yield* get
      const seen: Array<number> = []
      yield* session.readResource("a:b", { onProgress: ({ progress }) => void seen.push(progress) })
      assert.isAtMost(seen.length, 65)
      assert.strictEqual(seen.at(-1), 100_000)
    }).pipe(Effect.provide(Scripted.sessions(bursting(100_000)))))

  it.effect("has handled the notifications before a failure when the call fails", () => {
    const rejected = new SessionError.ProtocolFailed({
      method: "tools/call",
      code: -1,
      description: "no",
      data: undefined
    })
    return Effect.gen(function*() {
      const session = yield* get
      const seen: Array<number> = []
      const error = yield* Effect.flip(
        sound(session.getPrompt("p", {}, { onProgress: ({ progress }) => void seen.push(progress) }))
      )
      assert.strictEqual(error.reason, rejected)
      assert.deepStrictEqual(seen, [1, 2])
    }).pipe(Effect.provide(Scripted.sessions(bursting(2, Effect.fail(rejected)))))
  })

  it.effect("is interrupted with its call", () =>
    Effect.gen(function*() {
      const session = yield* get
      const started = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const onProgress = () =>
        Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
          Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
        )
      const call = yield* Effect.forkChild(session.callTool("slow", {}, { onProgress }))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(call)
      yield* Deferred.await(interrupted)
    }).pipe(Effect.provide(Scripted.sessions(bursting(1, Effect.never)))))

  for (
    const [what, onProgress] of [
      ["dies", () => Effect.die("a bug")],
      ["throws", () => {
        throw new Error("a bug")
      }]
    ] as const
  ) {
    it.effect(`that ${what} neither hides the result from the caller nor closes the connection`, () =>
      Effect.gen(function*() {
        const session = yield* get
        assert.deepStrictEqual((yield* session.callTool("slow", {}, { onProgress })).content, [])
        yield* session.callTool("slow")
        assert.strictEqual(yield* session.generation, 1)
      }).pipe(Effect.provide(Scripted.sessions(bursting(1)))))
  }

  it.effect("that never ends holds the result back until the total timeout, and no longer", () =>
    Effect.gen(function*() {
      const session = yield* get
      for (const onProgress of [() => Effect.never, () => Effect.uninterruptible(Effect.never)]) {
        const call = yield* Effect.forkChild(session.callTool("slow", {}, { onProgress }), { startImmediately: true })
        yield* TestClock.adjust("299 seconds")
        assert.isUndefined(call.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual((yield* Fiber.join(call)).content, [])
      }
    }).pipe(Effect.provide(Scripted.sessions(bursting(1)))))
})

describe("a completion", () => {
  const reference = { type: "ref/prompt", name: "greet" } as const

  it.effect("sends the arguments that are already resolved", () => {
    const asked: Array<unknown> = []
    const script = Scripted.make({
      answer: ({ params }) => {
        asked.push(params)
        return Effect.succeed({ completion: { values: ["Paris", "Parma"], hasMore: true } })
      }
    })
    return Effect.gen(function*() {
      const session = yield* get
      const completion = yield* session.complete(reference, { name: "city", value: "Par" }, {
        context: { continent: "Europe" }
      })
      assert.deepStrictEqual(completion, { values: ["Paris", "Parma"], hasMore: true })
      assert.deepStrictEqual(asked, [
        { ref: reference, argument: { name: "city", value: "Par" }, context: { arguments: { continent: "Europe" } } }
      ])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  for (
    const answer of [{}, { completion: null }, { completion: { values: "Paris" } }, { completion: { values: [1] } }]
  ) {
    it.effect(`fails with InvalidResult for the response ${JSON.stringify(answer)}`, () =>
      Effect.gen(function*() {
        const session = yield* get
        const error = yield* Effect.flip(session.complete(reference, { name: "city", value: "Par" }))
        assert.strictEqual(error.reason._tag, "InvalidResult")
      }).pipe(Effect.provide(Scripted.sessions(Scripted.make({ answer: () => Effect.succeed(answer) })))))
  }
})
