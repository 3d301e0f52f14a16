/**
 * The queue between requests and the audit.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Metric, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Audit, AuditRecord } from "../../../packages/transports/src/internal/gateway/call/audit.ts"
import { auditCapacity, openAuditQueue } from "../../../packages/transports/src/internal/gateway/call/auditQueue.ts"

const recordOf = (skipped: number): AuditRecord => ({ _tag: "Refused", reason: "Expired", address: "", skipped })

const open = (audit: Audit) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const record = yield* Scope.provide(openAuditQueue({ audit, drainTimeout: Duration.seconds(10) }), scope)
    // The consumer waits for records from here on.
    yield* Effect.yieldNow
    return { record, close: Scope.close(scope, Exit.void) }
  })

/** An audit that takes a record each time that a test lets it. */
const gated = Effect.gen(function*() {
  const taken: Array<number> = []
  let mayTake = yield* Deferred.make<void>()
  const audit: Audit = (record) =>
    Effect.andThen(
      Effect.suspend(() => Deferred.await(mayTake)),
      Effect.sync(() => void (record._tag === "Refused" && taken.push(record.skipped)))
    )
  return {
    taken,
    audit,
    letAll: Effect.suspend(() => Deferred.succeed(mayTake, undefined)),
    stop: Effect.sync(() => {
      mayTake = Deferred.makeUnsafe()
    })
  }
})

/** Collects the log of an effect. */
const logged = (messages: Array<string>) =>
  Logger.layer([Logger.make(({ message }) => void messages.push(String(message)))])

describe("the queue of the audit", () => {
  it.effect("gives records to the audit in order and one at a time", () =>
    Effect.gen(function*() {
      let [running, most] = [0, 0]
      const order: Array<number> = []
      const { close, record } = yield* open((record) =>
        Effect.gen(function*() {
          most = Math.max(most, ++running)
          yield* Effect.yieldNow
          if (record._tag === "Refused") order.push(record.skipped)
          running--
        })
      )
      for (let number = 0; number < 100; number++) record(recordOf(number))
      yield* close
      assert.deepStrictEqual(order, Array.from({ length: 100 }, (_, number) => number))
      assert.strictEqual(most, 1)
    }))

  it.effect("goes on after an audit that is interrupted or has a defect, and logs that", () => {
    const messages: Array<string> = []
    return Effect.gen(function*() {
      const taken: Array<number> = []
      const { close, record } = yield* open((record) => {
        const { skipped } = record as { readonly skipped: number }
        if (skipped === 1) return Effect.interrupt
        if (skipped === 2) throw new Error("the disk is full")
        return Effect.sync(() => void taken.push(skipped))
      })
      for (const number of [0, 1, 2, 3]) record(recordOf(number))
      yield* close
      assert.deepStrictEqual(taken, [0, 3])
      assert.lengthOf(messages.filter((message) => message.startsWith("the audit failed to take a record")), 2)
    }).pipe(Effect.provide(logged(messages)))
  })

  it.effect("is emptied before its scope has closed", () =>
    Effect.gen(function*() {
      const { audit, letAll, taken } = yield* gated
      const { close, record } = yield* open(audit)
      for (let number = 0; number < 3; number++) record(recordOf(number))
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* letAll
      yield* Fiber.join(closing)
      assert.deepStrictEqual(taken, [0, 1, 2])
    }))

  it.effect("is given up after the drain timeout, although the audit cannot be interrupted", () => {
    const messages: Array<string> = []
    return Effect.gen(function*() {
      const { close, record } = yield* open(() => Effect.uninterruptible(Effect.never))
      for (let number = 0; number < 3; number++) record(recordOf(number))
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(messages, ["the audit did not end in time: 2 records were dropped"])
    }).pipe(Effect.provide(logged(messages)))
  })

  it.effect("drops and counts records while it is full, and reports the begin and the end of that once each", () => {
    const messages: Array<string> = []
    return Effect.gen(function*() {
      const { audit, letAll, taken } = yield* gated
      const { close, record } = yield* open(audit)
      record(recordOf(-1))
      yield* Effect.yieldNow
      for (let number = 0; number < auditCapacity + 7; number++) record(recordOf(number))
      const counters = (yield* Metric.snapshot).map(({ id, state }) => [id, "count" in state ? state.count : 0])
      assert.deepInclude(counters, ["mcp_sessions_gateway_audit_dropped_total", 7])
      yield* letAll
      yield* Effect.repeat(Effect.yieldNow, { until: () => taken.length > auditCapacity })
      record(recordOf(42))
      yield* close
      assert.strictEqual(taken.length, auditCapacity + 2)
      assert.strictEqual(taken.at(-1), 42)
      assert.deepStrictEqual(messages, [
        "the audit is too slow: it has 10000 records to take, and new ones are dropped",
        "the audit takes records again: 7 were dropped"
      ])
    }).pipe(Effect.provide(Layer.merge(logged(messages), Layer.succeed(Metric.MetricRegistry, new Map()))))
  })

  it.effect("goes on after a record that the audit failed to take", () => {
    const messages: Array<string> = []
    return Effect.gen(function*() {
      const taken: Array<number> = []
      const { close, record } = yield* open((record) => {
        if (record._tag !== "Refused") return Effect.void
        if (record.skipped === 0) throw new Error("a fault of the function")
        if (record.skipped === 1) return Effect.die("a fault of the effect")
        return Effect.sync(() => void taken.push(record.skipped))
      })
      for (let number = 0; number < 3; number++) record(recordOf(number))
      yield* close
      assert.deepStrictEqual(taken, [2])
      assert.lengthOf(messages, 2)
    }).pipe(Effect.provide(logged(messages)))
  })
})
