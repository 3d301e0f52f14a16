/**
 * Circuit breakers in Redis, shared by the sessions of two runtimes. Skipped when `redis-server` is not installed.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import { type Circuit, RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer, Logger, ManagedRuntime, Schedule } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { until } from "../../fixtures/peer.ts"
import * as Redis from "../../fixtures/redis.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

if (!Redis.isInstalled) console.warn("sharedCircuitBreaker.test.ts is skipped: redis-server is not installed")

const circuit: Circuit.CircuitPolicy = { failures: 4, openFor: "1 minute" }

/** The sessions of one runtime, with its own connection to Redis. */
const runtime = (url: string, port: number) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      ManagedRuntime.make(
        Sessions.layer({
          servers: { s: { transport: "streamable_http", url, protocol: "legacy", healthInterval: 0 } },
          retry: RetryPolicy.never,
          circuit
        }).pipe(
          Layer.provide(Transports.layer),
          Layer.provide(CircuitBreaker.layerStoreRedis()),
          // The close of a client that is not connected waits for the commands in its queue, which are never sent.
          Layer.provide(NodeRedis.layer({ socket: { host: "127.0.0.1", port }, disableOfflineQueue: true })),
          // Silences the client's log messages after the test stops Redis.
          Layer.provideMerge(Logger.layer([]))
        )
      )
    ),
    (runtime) => runtime.disposeEffect
  )

type Runtime = Effect.Success<ReturnType<typeof runtime>>

/** The outcome of a call. */
const outcome = (runtime: Runtime) =>
  Effect.promise(() =>
    runtime.runPromise(
      Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("s", "t")).pipe(
        Effect.match({
          onSuccess: () => "ok",
          onFailure: (error) => error._tag === "SessionError" ? error.reason._tag : error._tag
        })
      )
    )
  )

/** Ends the open period in Redis, which uses a clock of its own. The key is the one of `CircuitBreaker.layerStoreRedis`. */
const endOpenPeriod = (redis: Effect.Success<typeof Redis.start>) =>
  Effect.promise(async () => assert.strictEqual(await redis.send("HSET circuitbreaker:s openUntil 0"), ":0\r\n"))

/** Whether the circuit in Redis is open. */
const isOpenIn = (redis: Effect.Success<typeof Redis.start>) =>
  Effect.promise(async () => /^\$\d+\r\n[1-9]/.test(await redis.send("HGET circuitbreaker:s openUntil")))

/** A server that fails while `isDown` is set, and counts its requests. */
const setting = Effect.gen(function*() {
  const state = { isDown: false, isHeld: false, calls: 0, connects: 0, probes: 0 }
  const held: Array<() => void> = []
  const server = yield* Http.start(({ message, response }) => {
    if (message.method === "initialize") state.connects++
    if (message.method === "tools/call") state.calls++
    if (!state.isDown || message.method === undefined) return false
    state.probes++
    const fail = () => void response.writeHead(500).end()
    if (state.isHeld) held.push(fail)
    else fail()
    return true
  })
  const redis = yield* Redis.start
  return {
    state,
    held,
    redis,
    one: yield* runtime(server.url, redis.port),
    two: yield* runtime(server.url, redis.port)
  }
})

describe.skipIf(!Redis.isInstalled)("a circuit breaker in Redis", () => {
  it.live("opens for both runtimes, even if one never connected, and closes for both when the probe of one succeeds", () =>
    Effect.gen(function*() {
      const { one, redis, state, two } = yield* setting
      assert.strictEqual(yield* outcome(one), "ok")
      state.isDown = true
      // The call that loses the session, and the connects after it.
      const failures = yield* Effect.replicateEffect(outcome(one), 4)
      assert.deepStrictEqual(failures, ["OutcomeUnknown", "HttpFailed", "HttpFailed", "HttpFailed"])
      assert.strictEqual(yield* outcome(one), "ServerDown")
      const { calls, connects } = state
      assert.strictEqual(yield* outcome(two), "ServerDown")
      assert.deepInclude(state, { calls, connects })
      state.isDown = false
      yield* endOpenPeriod(redis)
      assert.strictEqual(yield* outcome(two), "ok")
      assert.strictEqual(yield* outcome(one), "ok")
    }).pipe(Effect.scoped))

  it.live("counts the failures of both runtimes, and admits one probe for both", () =>
    Effect.gen(function*() {
      const { held, one, redis, state, two } = yield* setting
      for (const each of [one, two]) assert.strictEqual(yield* outcome(each), "ok")
      state.isDown = true
      for (const each of [one, two]) assert.strictEqual(yield* outcome(each), "OutcomeUnknown")
      for (const each of [one, two]) assert.strictEqual(yield* outcome(each), "HttpFailed")
      for (const each of [one, two]) assert.strictEqual(yield* outcome(each), "ServerDown")
      const both = Effect.all(Array.from({ length: 10 }, () => [outcome(one), outcome(two)]).flat(), {
        concurrency: "unbounded"
      })
      const { calls } = state
      assert.deepStrictEqual([...new Set(yield* both)], ["ServerDown"])
      assert.strictEqual(state.calls, calls)
      // While the server holds the first probe back, there is no other.
      state.isHeld = true
      state.probes = 0
      yield* endOpenPeriod(redis)
      const probe = yield* Effect.forkChild(outcome(one))
      yield* until(() => state.probes, (probes) => probes > 0)
      assert.strictEqual(yield* outcome(two), "ServerDown")
      assert.strictEqual(state.probes, 1)
      state.isHeld = false
      for (const fail of held) fail()
      assert.strictEqual(yield* Fiber.join(probe), "HttpFailed")
    }).pipe(Effect.scoped))

  it.live("does not fail calls while Redis is down, and opens again when Redis is back", () =>
    Effect.gen(function*() {
      const { one, redis, state } = yield* setting
      assert.strictEqual(yield* outcome(one), "ok")
      yield* Effect.promise(redis.stop)
      const outcomes = (calls: number) =>
        Effect.map(
          Effect.forEach(Array.from({ length: calls }), () => outcome(one)),
          (all) => [...new Set(all)]
        )
      assert.deepStrictEqual(yield* outcomes(20), ["ok"])
      state.isDown = true
      assert.deepStrictEqual(yield* outcomes(1), ["OutcomeUnknown"])
      yield* Effect.promise(redis.run)
      // The store is probed a second after it did not respond. Until then, the circuit is the one of this process.
      yield* Effect.andThen(outcome(one), isOpenIn(redis)).pipe(
        Effect.repeat({ until: (isOpen) => isOpen, schedule: Schedule.spaced("20 millis") })
      )
      assert.strictEqual(yield* outcome(one), "ServerDown")
    }).pipe(Effect.scoped))
})
