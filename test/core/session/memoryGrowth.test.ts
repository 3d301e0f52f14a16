/**
 * Core on in-memory SDK servers under a test clock, with the SDK at both ends.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError, Sessions, Transport } from "@mcp-sessions/core"
import { Memory } from "@mcp-sessions/transports"
import { Clock, Context, Effect, Fiber, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { makeV1 } from "../../fixtures/servers.ts"

/** An in-memory server that refuses its first connects and records the time of each. */
const flaky = (failures: number) => {
  const attempts: Array<number> = []
  let served = 0
  const serve: Memory.Serve = (peer) => {
    served++
    return makeV1({ ledger: () => {}, die: () => {} }).connect(
      peer as Parameters<ReturnType<typeof makeV1>["connect"]>[0]
    )
  }
  const refused = new SessionError.ConnectionRefused({ address: "memory", code: "ECONNREFUSED" })
  const transports = Layer.succeed(Transport.Transports, {
    transport: ({ config }) =>
      Layer.effect(
        Transport.Transport,
        Effect.map(Layer.build(Memory.layer({ serve, config })), (built) => ({
          connect: Effect.gen(function*() {
            const count = attempts.push(yield* Clock.currentTimeMillis)
            if (count <= failures) return yield* refused
            return yield* Context.get(built, Transport.Transport).connect
          })
        }))
      )
  })
  const layer = Sessions.layer({ servers: { s: { transport: "stdio", command: "s", args: [] } } }).pipe(
    Layer.provide(transports)
  )
  return { attempts, layer, served: () => served }
}

const echo = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "echo", { message: "x" }))

/** Advances the clock by one second until the fiber ends, with a turn of the event loop for the SDK's promises. */
const turnUntilDone = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function*() {
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    if (fiber.pollUnsafe() !== undefined) return
    yield* TestClock.adjust("1 second")
    return yield* Effect.fail("not yet" as const)
  }).pipe(Effect.retry(Schedule.recurs(60)), Effect.andThen(Fiber.join(fiber)))

describe("a session on the memory transport", () => {
  it.effect("makes its connect attempts at exactly 0, 1 and 2 seconds", () => {
    const { attempts, layer } = flaky(2)
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(echo, { startImmediately: true })
      const result = yield* turnUntilDone(fiber)
      assert.deepStrictEqual(result.content, [{ type: "text", text: "x" }])
      assert.deepStrictEqual(attempts, [0, 1000, 2000])
    }).pipe(Effect.provide(layer))
  })

  it.effect("opens one connection for 1,000 concurrent first uses", () => {
    const { layer, served } = flaky(0)
    return Effect.gen(function*() {
      const results = yield* Effect.forEach(Array.from({ length: 1000 }), () => echo, { concurrency: "unbounded" })
      assert.strictEqual(results.length, 1000)
      assert.strictEqual(served(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("keeps connecting for waiting callers when other callers are interrupted", () => {
    const { attempts, layer, served } = flaky(1)
    return Effect.gen(function*() {
      const fibers = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => Effect.forkChild(echo, { startImmediately: true })
      )
      const [last, ...others] = fibers.toReversed()
      if (last === undefined) return assert.fail("ten fibers were started")
      yield* Fiber.interruptAll(others)
      yield* turnUntilDone(last)
      assert.deepStrictEqual(attempts, [0, 1000])
      assert.strictEqual(served(), 1)
    }).pipe(Effect.provide(layer))
  })
})
