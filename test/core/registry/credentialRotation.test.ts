/**
 * Credential rotation, and lookups that died with a defect.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, Sessions, Transport } from "@mcp-sessions/core"
import { type Duration, Effect, Fiber, Layer, Redacted, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import { lost, stdio, tokenOf } from "../../fixtures/fleet.ts"
import * as Scripted from "../../fixtures/scripted.ts"

describe("a provider of credentials that does not respond", () => {
  for (const [connectTimeout, limit] of [["1 minute", 10_000], ["4 seconds", 2000]] as const) {
    it.effect(`fails calls after ${limit / 1000} seconds if a connect may take ${connectTimeout}`, () => {
      const script = Scripted.make({})
      const layer = Sessions.layer({
        servers: { s: { ...stdio, connectTimeout } },
        circuit: Circuit.never,
        credentials: () => Effect.never
      }).pipe(Layer.provide(script.layer))
      return Effect.gen(function*() {
        const { callTool, get } = yield* Sessions.Sessions
        for (const operation of [Effect.asVoid(callTool("s", "t")), Effect.asVoid(get("s"))]) {
          const failed = yield* start(Effect.flip(operation))
          yield* TestClock.adjust(limit - 1)
          assert.isUndefined(failed.pollUnsafe())
          yield* TestClock.adjust(1)
          const error = yield* Fiber.join(failed)
          assert.strictEqual(error._tag === "SessionError" ? error.reason._tag : error._tag, "CredentialsFailed")
        }
        assert.deepStrictEqual(script.connects, [])
      }).pipe(Effect.provide(layer))
    })
  }
})

describe("credential rotation", () => {
  it.effect("reconnects an open server with the new credentials only", () => {
    const scripts = { old: Scripted.make({}), new: Scripted.make({}) }
    let token: keyof typeof scripts = "old"
    const layer = Sessions.layer({
      servers: { s: stdio },
      circuit: Circuit.never,
      reconnect: Schedule.spaced("1 second"),
      credentials: () => Effect.sync(() => ({ env: { TOKEN: Redacted.make(token as string) } }))
    }).pipe(Layer.provide(Layer.succeed(Transport.Transports, {
      transport: (definition) => scripts[tokenOf(definition) as keyof typeof scripts].transport
    })))
    return Effect.gen(function*() {
      const { callTool, openAll, restart } = yield* Sessions.Sessions
      yield* Stream.runDrain(openAll())
      assert.strictEqual(scripts.old.connects.length, 1)
      token = "new"
      yield* callTool("s", "t")
      yield* restart("s")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(scripts.old.connects.length, 1)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  const rotating = (closing: Duration.Input) => {
    const scriptOf = () => Scripted.make({ connect: () => Effect.addFinalizer(() => Effect.sleep(closing)) })
    const scripts = { a: scriptOf(), b: scriptOf(), c: scriptOf() }
    const current: { token: keyof typeof scripts } = { token: "a" }
    const layer = Sessions.layer({
      servers: { s: stdio },
      circuit: Circuit.never,
      credentials: () => Effect.sync(() => ({ env: { TOKEN: Redacted.make(current.token as string) } }))
    }).pipe(Layer.provide(Layer.succeed(Transport.Transports, {
      transport: (definition) => scripts[tokenOf(definition) as keyof typeof scripts].transport
    })))
    return { scripts, current, layer }
  }

  it.effect("does not wait until the connection with the old credentials has closed", () => {
    const { current, layer } = rotating("2 seconds")
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      current.token = "b"
      const fiber = yield* start(callTool("s", "t"))
      const isThere = fiber.pollUnsafe() !== undefined
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      yield* start(Effect.forever(TestClock.adjust("1 second")))
      assert.isTrue(isThere)
    }).pipe(Effect.provide(layer))
  })

  it.effect("leaves no connection open with credentials that were replaced in between", () => {
    const { current, layer, scripts } = rotating("2 seconds")
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      current.token = "b"
      const first = yield* start(callTool("s", "t"))
      current.token = "c"
      const second = yield* start(callTool("s", "t"))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      yield* TestClock.adjust("1 minute")
      const open = [scripts.a.open, scripts.b.open, scripts.c.open]
      yield* start(Effect.forever(TestClock.adjust("1 second")))
      assert.deepStrictEqual(open, [0, 0, 1])
    }).pipe(Effect.provide(layer))
  })

  it.effect("builds the transport again after it died with a defect", () => {
    const script = Scripted.make({})
    let built = 0
    const layer = Sessions.layer({ servers: { s: stdio }, circuit: Circuit.never }).pipe(
      Layer.provide(Layer.succeed(Transport.Transports, {
        transport: () =>
          Layer.unwrap(Effect.suspend(() => built++ === 0 ? Effect.die("once") : Effect.succeed(script.transport)))
      }))
    )
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.exit(callTool("s", "t"))
      const before = built
      yield* Effect.exit(callTool("s", "t"))
      assert.isAbove(built, before)
    }).pipe(Effect.provide(layer))
  })
})

describe("the credentials of one owner", () => {
  it.effect("do not use the connection of the credentials in between after they change back", () => {
    const scripts = { one: Scripted.make({}), two: Scripted.make({}) }
    let token: keyof typeof scripts = "one"
    const layer = Sessions.layer({
      servers: { s: stdio },
      circuit: Circuit.never,
      credentials: () => Effect.sync(() => ({ env: { TOKEN: Redacted.make(token as string) } }))
    }).pipe(Layer.provide(Layer.succeed(Transport.Transports, {
      transport: (definition) => scripts[tokenOf(definition) as keyof typeof scripts].transport
    })))
    return Effect.gen(function*() {
      const { callTool, get } = yield* Sessions.Sessions
      const held = yield* get("s")
      yield* held.ping
      yield* scripts.one.lose(lost)
      yield* TestClock.adjust("1 second")
      token = "two"
      yield* held.ping
      token = "one"
      yield* callTool("s", "t")
      assert.notInclude(scripts.two.requests.join(), "tools/call:t")
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("do not block other owners while their provider hangs", () => {
    const script = Scripted.make({})
    let isOut = false
    return Effect.gen(function*() {
      const { callTool, get, status } = yield* Sessions.Sessions
      const held = yield* get("s", { owner: "a" })
      yield* callTool("s", "t", {}, { owner: "b" })
      isOut = true
      yield* script.loseAll(lost)
      for (let n = 0; n < 2; n++) yield* settled(yield* start(Effect.exit(held.ping)), 300)
      const state = (yield* status("s")).circuit
      const other = yield* start(callTool("s", "t", {}, { owner: "b" }))
      const exit = yield* settled(other, 5)
      assert.deepStrictEqual([state.state, exit?._tag], ["closed", "Success"])
    }).pipe(
      Effect.scoped,
      Effect.provide(Scripted.sessions(script, {
        circuit: Circuit.circuitDefault,
        credentials: ({ owner }) => isOut && owner === "a" ? Effect.never : Effect.succeed({})
      }))
    )
  })
})
