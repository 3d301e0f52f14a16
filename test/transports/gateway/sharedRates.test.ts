/**
 * Rates of clients that gateways hold together through a store. Those in Redis are skipped when `redis-server` is not installed.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Layer, Logger, Redacted, type Scope } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { Quotas } from "../../../packages/transports/src/internal/gateway/admission/quotas.ts"
import { SharedRates } from "../../../packages/transports/src/internal/gateway/admission/sharedRates.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { stdio, until } from "../../fixtures/peer.ts"
import * as Redis from "../../fixtures/redis.ts"

if (!Redis.isInstalled) console.warn("sharedRates.test.ts skips Redis: redis-server is not installed")

type Store = RateLimiter.RateLimiterStore["Service"]

/** What a store was asked to take. */
interface Report {
  readonly key: string
  readonly tokens: number
}

const limits = {
  maxSessions: 100,
  maxSessionsPerPrincipal: 100,
  maxInFlight: 100,
  maxInFlightPerPrincipal: 100,
  maxInFlightBytes: 100,
  maxInFlightBytesPerPrincipal: 100,
  requestsPerSecond: 20
}

/** A store in memory whose token buckets a test can replace, and the reports that reached it. */
const breakable = Effect.gen(function*() {
  const memory = Context.get(yield* Layer.build(RateLimiter.layerStoreMemory), RateLimiter.RateLimiterStore)
  const reports: Array<Report> = []
  const control: { answer: ReturnType<Store["tokenBucket"]> | undefined } = { answer: undefined }
  const store: Store = {
    ...memory,
    tokenBucket: (options) =>
      Effect.suspend(() => {
        reports.push({ key: options.key, tokens: options.tokens })
        return control.answer ?? memory.tokenBucket(options)
      })
  }
  return { store, reports, control }
})

/** A gateway's quotas on a store. */
const nodeOn = (store: Store, { realm = "/mcp", requestsPerSecond = limits.requestsPerSecond } = {}) =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
    const context = yield* Effect.context<never>()
    const fibers: Array<Fiber.Fiber<void>> = []
    const fork = (effect: Effect.Effect<void>) => void fibers.push(Effect.runForkWith(context)(effect))
    yield* Effect.addFinalizer(() => Fiber.interruptAll(fibers))
    const quotas = new Quotas(
      { ...limits, requestsPerSecond },
      now,
      new SharedRates({ store, requestsPerSecond, realm, now, fork })
    )
    /** Sends requests that end at once. Returns how many were admitted. */
    const send = (count: number, principal = "alice") => {
      let admitted = 0
      for (let n = 0; n < count; n++) {
        const place = quotas.begin(principal)
        if (place === undefined) continue
        place.end()
        admitted++
      }
      return admitted
    }
    return { send, fibers }
  })

const burst = 2 * limits.requestsPerSecond

/** Collects the messages that an effect logs. */
const collectLogs = <A, E, R>(effect: (logs: Array<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logs: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void logs.push(`${logLevel} ${String(message)}`))
    return Effect.provide(effect(logs), Logger.layer([logger]))
  })

describe("the rate of a principal on a store", () => {
  it.effect("is admitted once by two gateways together, and beyond it at most what each admits between two reports", () =>
    Effect.gen(function*() {
      const { store } = yield* breakable
      const nodes = [yield* nodeOn(store), yield* nodeOn(store)]
      let admitted = 0
      const seconds = 20
      for (let step = 0; step < seconds * 100; step++) {
        for (const { send } of nodes) admitted += send(2)
        yield* TestClock.adjust("10 millis")
      }
      const rate = burst + seconds * limits.requestsPerSecond
      // 2 requests in each of 10 steps arrive at a node between two reports.
      assert.isAtMost(admitted, rate + nodes.length * 20)
      assert.isAtLeast(admitted, rate - nodes.length)
    }))

  it.effect("is spent by one gateway for the other, whose principals do not affect each other", () =>
    Effect.gen(function*() {
      const { store } = yield* breakable
      const [one, two] = [yield* nodeOn(store), yield* nodeOn(store)]
      assert.strictEqual(one.send(2 * burst), burst)
      // The first report had one token, and the next one has the others.
      yield* TestClock.adjust("100 millis")
      // The first request of a principal is admitted before the store was asked.
      assert.strictEqual(two.send(1), 1)
      yield* TestClock.adjust("100 millis")
      assert.isAtMost(two.send(burst), 3)
      assert.strictEqual(two.send(burst, "bob"), burst)
      // The rate of the principal comes back as for one gateway.
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(one.send(2 * burst), burst)
    }))

  it.effect("is reported in whole: the store takes a token for each request that was admitted, once", () =>
    Effect.gen(function*() {
      const { reports, store } = yield* breakable
      const { send } = yield* nodeOn(store)
      let admitted = 0
      for (let step = 0; step < 100; step++) {
        admitted += send(1)
        yield* TestClock.adjust("37 millis")
      }
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(reports.reduce((sum, { tokens }) => sum + tokens, 0), admitted)
      assert.isAtMost(reports.length, 38)
    }))

  it.effect("is not lowered by requests that ended long before the next one", () =>
    Effect.gen(function*() {
      const { store } = yield* breakable
      const { send } = yield* nodeOn(store)
      assert.strictEqual(send(burst), burst)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(send(1), 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(send(burst), burst - 1)
    }))

  it.effect("comes back in time after a report, also the part of a token that has passed", () =>
    Effect.gen(function*() {
      const { store } = yield* breakable
      const { send } = yield* nodeOn(store, { requestsPerSecond: 1 })
      assert.strictEqual(send(3), 2)
      yield* TestClock.adjust("100 millis")
      yield* TestClock.adjust("899 millis")
      assert.strictEqual(send(1), 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(send(1), 1)
    }))

  it.effect("is not given back by an answer of the store for requests that were admitted since the report", () =>
    Effect.gen(function*() {
      const { control, store } = yield* breakable
      const { send } = yield* nodeOn(store)
      control.answer = Effect.delay(Effect.succeed([burst - 1, 0]), "50 millis")
      assert.strictEqual(send(burst), burst)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(send(burst), 0)
    }))

  it.effect("needs no timer while no request arrives", () =>
    Effect.gen(function*() {
      const { reports, store } = yield* breakable
      const { fibers, send } = yield* nodeOn(store)
      send(1)
      assert.isUndefined(fibers[0]?.pollUnsafe())
      yield* TestClock.adjust("100 millis")
      assert.isDefined(fibers[0]?.pollUnsafe())
      send(1)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([fibers.length, reports.length], [2, 2])
    }))

  it.effect("has a key that depends on the principal and the endpoint, and shows neither", () =>
    Effect.gen(function*() {
      const { reports, store } = yield* breakable
      const [one, same, other] = [
        yield* nodeOn(store),
        yield* nodeOn(store),
        yield* nodeOn(store, { realm: "/other" })
      ]
      one.send(1)
      same.send(1)
      one.send(1, "bob")
      other.send(1)
      yield* TestClock.adjust("100 millis")
      const keys = reports.map(({ key }) => key)
      assert.strictEqual(keys.length, 4)
      assert.strictEqual(new Set(keys).size, 3)
      for (const key of keys) assert.match(key, /^client:[\w-]{43}$/)
    }))

  it.effect("is exact for rates of several requests in a millisecond", () =>
    Effect.gen(function*() {
      const { store } = yield* breakable
      const [one, two] = [
        yield* nodeOn(store, { requestsPerSecond: 3000 }),
        yield* nodeOn(store, { requestsPerSecond: 3000 })
      ]
      assert.strictEqual(one.send(10_000), 6000)
      yield* TestClock.adjust("100 millis")
      two.send(1)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(two.send(10_000), 300)
    }))
})

const error = new RateLimiter.RateLimiterError({
  reason: new RateLimiter.RateLimitStoreError({ message: "the store is broken" })
})

const broken: Readonly<Record<string, ReturnType<Store["tokenBucket"]>>> = {
  "fails": Effect.fail(error),
  "hangs": Effect.never,
  "throws": Effect.die(new TypeError("a fault of the store")),
  "is interrupted": Effect.interrupt,
  "answers with something else than numbers": Effect.succeed([Number.NaN, 0])
}

describe("a store of rates", () => {
  for (const [how, answer] of Object.entries(broken)) {
    it.effect(`that ${how} leaves each gateway its own rate, is logged once, and is used again when it is back`, () =>
      collectLogs((logs) =>
        Effect.gen(function*() {
          const { control, reports, store } = yield* breakable
          const [one, two] = [yield* nodeOn(store), yield* nodeOn(store)]
          control.answer = answer
          assert.strictEqual(one.send(2 * burst), burst)
          for (let second = 1; second <= 10; second++) {
            yield* TestClock.adjust("1 second")
            assert.strictEqual(one.send(2 * burst), limits.requestsPerSecond)
          }
          assert.isAtMost(reports.length, 11)
          assert.deepStrictEqual(logs.length, 1)
          assert.match(logs[0] ?? "", /^Warn the rates of clients hold for this process alone/)
          control.answer = undefined
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(logs.slice(1), ["Info the rates of clients are shared again"])
          // What was spent while the store was away is not owed to it.
          assert.strictEqual(one.send(2 * burst), burst)
          yield* TestClock.adjust("100 millis")
          two.send(1)
          yield* TestClock.adjust("100 millis")
          assert.isAtMost(two.send(burst), 5)
        })
      ))
  }
})

const stores: Readonly<Record<string, Effect.Effect<Store, never, Scope.Scope> | undefined>> = {
  memory: Effect.map(Layer.build(RateLimiter.layerStoreMemory), Context.get(RateLimiter.RateLimiterStore)),
  Redis: Redis.isInstalled
    ? Effect.gen(function*() {
      const { port } = yield* Redis.start
      const redis = Layer.orDie(NodeRedis.layer({ socket: { host: "127.0.0.1", port }, disableOfflineQueue: true }))
      const built = yield* Layer.build(RateLimiter.layerStoreRedis().pipe(Layer.provide(redis)))
      return Context.get(built, RateLimiter.RateLimiterStore)
    })
    : undefined
}

describe("two gateways", () => {
  for (const [name, open] of Object.entries(stores)) {
    it.live.skipIf(open === undefined)(
      `on one store in ${name} admit the rate of a principal once`,
      () =>
        Effect.gen(function*() {
          if (open === undefined) return
          const inner = yield* open
          const reported = { tokens: 0, answers: 0 }
          const store: Store = {
            ...inner,
            tokenBucket: (options) =>
              Effect.tap(inner.tokenBucket(options), () =>
                Effect.sync(() => {
                  reported.tokens += options.tokens
                  reported.answers++
                }))
          }
          const rate = 5
          const options = {
            tokens: { alice: Redacted.make("the-token-of-alice") },
            limits: { requestsPerSecond: rate }
          }
          const start = Effect.provideService(startGateway({}, options), RateLimiter.RateLimiterStore, store)
          const [one, two] = [yield* start, yield* start]
          const began = performance.now()
          /** Sends requests one after another. Returns how many were admitted. */
          const send = (url: string, count: number) =>
            Effect.map(
              Effect.replicateEffect(post(url, initialize, { token: "the-token-of-alice" }), count),
              (all) => all.filter(({ status }) => status === 200).length
            )
          let admitted = yield* send(one.url, 3 * rate)
          assert.isAtLeast(admitted, 2 * rate)
          yield* until(() => reported.tokens, (tokens) => tokens === admitted)
          // The first request at the other gateway is admitted before the store was asked.
          const { answers } = reported
          admitted += yield* send(two.url, 1)
          yield* until(() => reported.answers, (count) => count > answers)
          admitted += yield* send(two.url, 3 * rate)
          const seconds = (performance.now() - began) / 1000
          // One request for each start of a gateway, and one for the rest of a token.
          assert.isAtMost(admitted, 2 * rate + rate * seconds + 2)
        })
    )
  }
  it.live("share the rates of servers, too, through a store that is provided to the gateway alone", () =>
    Effect.gen(function*() {
      const { reports, store } = yield* breakable
      const { config } = yield* stdio("v1").start
      const { url } = yield* Effect.provideService(
        startGateway({ only: { ...config, rateLimit: { limit: 100, window: "1 second" } } }),
        RateLimiter.RateLimiterStore,
        store
      )
      const { session } = yield* post(url, initialize)
      assert.strictEqual((yield* post(url, call(1, "echo"), { session })).status, 200)
      assert.include(reports.map(({ key }) => key), "only")
    }))
})
