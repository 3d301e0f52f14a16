/**
 * The edges of fallback, pools and credentials, where what one does might touch another.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Circuit,
  FallbackPolicy,
  McpSessions,
  type Session,
  SessionError,
  SessionPool,
  Sessions,
  Transport
} from "@mcp-sessions/core"
import { Context, Effect, Fiber, Inspectable, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../fixtures/fibers.ts"
import { fleet, lost, named, run, stdio, tokenOf, two } from "../fixtures/fleet.ts"
import * as Scripted from "../fixtures/scripted.ts"

const three = () => ({ ...two(), ledger: named("ledger") })

describe("a tool runs once", () => {
  it.effect("even if the operation fails with an error of a fallback within it", () => {
    const members = three()
    members.ledger.trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.exit(run((session) =>
        Effect.andThen(
          session.callTool("charge"),
          Effect.catchTag(
            run((inner) => inner.readResource("test:"), { servers: ["ledger"] }),
            "AllServersFailed",
            ({ errors }) => Effect.fail(errors[0] ?? assert.fail())
          )
        )
      )))
      yield* settled(fiber)
      assert.deepStrictEqual([members.primary.calls(), members.secondary.calls()], [["charge"], []])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("even if the operation fails with the error of a plan within it", () => {
    const members = three()
    members.ledger.trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      const { fallbackPlan } = yield* Sessions.Sessions
      const plan = yield* fallbackPlan({ servers: ["ledger"] })
      const fiber = yield* start(Effect.exit(run((session) =>
        Effect.andThen(
          session.callTool("charge"),
          Effect.withExecutionPlan(
            Effect.flatMap(FallbackPolicy.CurrentSession, (inner) => inner.readResource("test:")),
            plan
          )
        )
      )))
      yield* settled(fiber)
      assert.deepStrictEqual([members.primary.calls(), members.secondary.calls()], [["charge"], []])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("even if a hedged operation calls it on another session", () => {
    const members = three()
    for (const { trouble } of [members.primary, members.secondary]) {
      trouble.answer = (method) =>
        method === "resources/read" ? Effect.delay(Effect.succeed({ contents: [] }), "5 seconds") : undefined
    }
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(run(
        (session) => Effect.andThen(callTool("ledger", "charge"), session.readResource("test:")),
        { hedgeAfter: "1 second" }
      ))
      yield* settled(fiber)
      assert.deepStrictEqual(members.ledger.calls(), ["charge"])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("a server", () => {
  it.effect("is not back because a tool was lost on it when none was fit", () => {
    const members = { primary: named("primary") }
    let reads = 0
    members.primary.trouble.answer = (method) =>
      method === "tools/call" || ++reads % 2 === 0 ? Effect.fail(lost) : undefined
    const once = (operation: (session: Session.Session) => Effect.Effect<unknown, SessionError.SessionError>) =>
      Effect.flatMap(start(Effect.exit(run(operation, { servers: ["primary"] }))), (fiber) => settled(fiber, 2))
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) {
        yield* once((session) => Effect.andThen(session.readResource("a:"), session.readResource("b:")))
      }
      // The one try of this window.
      yield* once((session) => session.callTool("charge"))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
      yield* once((session) => session.callTool("charge"))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("an owner", () => {
  it.effect("whose credentials cannot be had keeps nobody else from the server", () => {
    const script = Scripted.make({})
    let isOut = false
    return Effect.gen(function*() {
      const { callTool, circuit, get } = yield* Sessions.Sessions
      const held = yield* get("s", { owner: "a" })
      yield* callTool("s", "t", {}, { owner: "b" })
      isOut = true
      yield* script.loseAll(lost)
      for (let n = 0; n < 2; n++) yield* settled(yield* start(Effect.exit(held.ping)), 300)
      const state = yield* circuit("s")
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

describe("traces", () => {
  it.effect("do not grow with what goes on after the operation", () => {
    const traces = Context.Reference<ReadonlyArray<{ readonly calls: Set<unknown> }>>(
      "@mcp-sessions/core/internal/request/toolLedger/CurrentLedgers",
      { defaultValue: () => [] }
    )
    const members = two()
    let seen: ReadonlyArray<{ readonly calls: Set<unknown> }> = []
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* run(() =>
        Effect.forkDetach(
          Effect.gen(function*() {
            seen = yield* traces
            for (let n = 0; n < 100; n++) yield* Effect.delay(callTool("secondary", "t"), "1 second")
          }),
          { startImmediately: true }
        )
      )
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(members.secondary.calls().length, 100)
      assert.isBelow(seen[0]?.calls.size ?? 0, 10)
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("a pool", () => {
  it.effect("paces what it keeps open, also with a server that closes what it has accepted", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* start(Effect.forever(Effect.delay(Effect.suspend(() => script.lose(lost)), "10 millis")))
      yield* SessionPool.make({ server: "s", min: 1 })
      yield* TestClock.adjust("1 minute")
      assert.isBelow(script.connects.length, 100)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("paces what it keeps open, also where what gives credentials is interrupted", () => {
    let asked = 0
    return Effect.gen(function*() {
      yield* SessionPool.make({ server: "s", min: 1 })
      yield* TestClock.adjust("1 second")
      assert.isBelow(asked, 100)
    }).pipe(Effect.provide(Scripted.sessions(Scripted.make({}), {
      credentials: () => Effect.suspend(() => ++asked > 5000 ? Effect.never : Effect.interrupt)
    })))
  })

  it.effect("tells nobody why the credentials of another owner cannot be had", () => {
    const script = Scripted.make({ connect: () => Effect.never })
    return Effect.gen(function*() {
      const pool = yield* SessionPool.make({ server: "s", min: 1, acquireTimeout: "1 second" })
      const waiting = yield* start(Effect.flip(pool.callTool("t", {}, { owner: "b" })))
      yield* settled(waiting)
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error._tag, "AcquireTimeout")
      assert.notInclude(JSON.stringify(error) + error.message + Inspectable.toStringUnknown(error), "hunter2")
    }).pipe(Effect.provide(Scripted.sessions(script, {
      credentials: ({ owner }) =>
        owner === "b"
          ? Effect.succeed({})
          : Effect.fail(new SessionError.CredentialsFailed({ owner, cause: new Error("hunter2 is wrong") }))
    })))
  })

  it.effect("lets no call go on after its loan that waits for its next try", () => {
    let refusals = 0
    const script = Scripted.make({
      answer: ({ params }) =>
        params?.name === "slow" && refusals++ === 0
          ? Effect.fail(new SessionError.HttpFailed({ status: 503, retryAfter: "5", delivery: "Rejected" }))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* SessionPool.make({ server: "s", max: 1 })
      yield* pool.use((session) => Effect.forkDetach(session.callTool("slow"), { startImmediately: true }))
      const next = yield* start(pool.use((session) => Effect.andThen(session.ping, Effect.sleep("30 seconds"))))
      yield* TestClock.adjust("20 seconds")
      yield* settled(next)
      assert.deepStrictEqual(
        script.requests.filter((request) => request.endsWith(":slow")).length,
        1,
        script.requests.join()
      )
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("does not close the idle session of one who asks for the sake of one who has a place", () => {
    const script = Scripted.make({ connect: () => Effect.addFinalizer(() => Effect.sleep("1 second")) })
    return Effect.gen(function*() {
      const pool = yield* SessionPool.make({ server: "s", max: 2 })
      yield* pool.callTool("t", {}, { owner: "b" })
      yield* TestClock.adjust("1 second")
      yield* pool.callTool("t", {}, { owner: "c" })
      const a = yield* start(pool.callTool("t", {}, { owner: "a" }))
      const c = yield* start(pool.callTool("t", {}, { owner: "c" }))
      yield* settled(a)
      yield* settled(c)
      // One each for a, b and c.
      const { length } = script.connects
      yield* start(Effect.forever(TestClock.adjust("1 second")))
      assert.strictEqual(length, 3)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("credentials", () => {
  it.effect("that changed and changed back share no connection with those between", () => {
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
})

describe("where nothing can be interrupted", () => {
  it.effect("a tool that runs as a task is not left either", () => {
    const script = Scripted.make({
      info: { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } as never },
      answer: ({ method }) =>
        method === "tools/call"
          ? Effect.delay(Effect.succeed({ task: { taskId: "1", status: "completed" } }), "3 seconds")
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      let ended: string | undefined
      const fiber = yield* start(Effect.uninterruptible(
        Effect.onExit(callTool("s", "charge", {}, { task: {} }), (exit) =>
          Effect.sync(() => {
            ended = exit._tag
          }))
      ))
      yield* TestClock.adjust("1 second")
      yield* start(Fiber.interrupt(fiber))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(ended, "Success")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("an operation is hedged all the same", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.never
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkDetach(
        Effect.acquireRelease(
          run((session) => session.readResource("test:"), { hedgeAfter: "1 second" }),
          () => Effect.void
        )
          .pipe(Effect.scoped),
        { startImmediately: true }
      )
      yield* settled(fiber, 20)
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("nobody waits for a pool longer than acquireTimeout", () => {
    const script = Scripted.make({ connect: () => Effect.never })
    return Effect.gen(function*() {
      const pool = yield* SessionPool.make({ server: "s", acquireTimeout: "5 seconds" })
      const fiber = yield* Effect.forkDetach(Effect.scoped(Effect.acquireRelease(pool.get(), () => Effect.void)), {
        startImmediately: true
      })
      yield* settled(fiber, 10)
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Failure")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("fallback", () => {
  it.effect("does not wait long for what a server says of a tool that was lost on it", () => {
    const members = two()
    members.primary.trouble.answer = (method) => method === "tools/list" ? Effect.never : Effect.fail(lost)
    const trusted = { ...stdio, trusted: true }
    return Effect.gen(function*() {
      const fiber = yield* start(run((session) => session.callTool("safe")))
      yield* settled(fiber, 30)
      assert.isDefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(fleet(members, { servers: { primary: trusted, secondary: trusted } })))
  })

  it.effect("does not pass a server over for taking its time to start", () => {
    const members = two()
    members.primary.trouble.connect = Effect.sleep("20 seconds")
    return Effect.gen(function*() {
      for (let n = 0; n < 6; n++) {
        const hasty = yield* start(run((session) => session.readResource("test:")))
        yield* TestClock.adjust("1500 millis")
        yield* Fiber.interrupt(hasty)
        yield* TestClock.adjust("1500 millis")
      }
      yield* TestClock.adjust("5 seconds")
      yield* run((session) => session.callTool("charge"))
      assert.deepStrictEqual([members.primary.calls(), members.secondary.calls()], [["charge"], []])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("the promise facade", () => {
  const within = <A>(promise: Promise<A>) =>
    Promise.race([
      promise.then(() => "settled", () => "settled"),
      new Promise<string>((resolve) => setTimeout(() => resolve("pending"), 1500))
    ])

  it.live("leaves no call pending that waits for credentials when it is disposed of", () =>
    Effect.promise(async () => {
      const script = Scripted.make({})
      const mcp = McpSessions.make({
        servers: { s: stdio },
        transports: script.layer,
        credentials: () => new Promise(() => {})
      })
      await mcp.health("s")
      const call = mcp.callTool("s", "t")
      await new Promise((resolve) => setTimeout(resolve, 50))
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await within(call), "settled")
    }))

  it.live("leaves no call pending that waits for its next try when it is disposed of", () =>
    Effect.promise(async () => {
      const script = Scripted.make({
        answer: () => Effect.fail(new SessionError.HttpFailed({ status: 503, retryAfter: "5", delivery: "Rejected" }))
      })
      const mcp = McpSessions.make({ servers: { s: stdio }, transports: script.layer, circuit: Circuit.never })
      await mcp.health("s")
      const call = mcp.callTool("s", "t")
      await new Promise((resolve) => setTimeout(resolve, 50))
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await within(call), "settled")
    }))

  it.live("leaves no fallback pending whose operation never ends when it is disposed of", () =>
    Effect.promise(async () => {
      const script = Scripted.make({})
      const mcp = McpSessions.make({ servers: { s: stdio }, transports: script.layer, circuit: Circuit.never })
      await mcp.health("s")
      const call = mcp.withFallback({ servers: ["s"] }, () => new Promise(() => {}))
      await new Promise((resolve) => setTimeout(resolve, 50))
      await mcp[Symbol.asyncDispose]()
      assert.strictEqual(await within(call), "settled")
    }))
})
