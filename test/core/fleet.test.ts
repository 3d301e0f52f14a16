/**
 * What is easily wrong with several servers, owners and sessions: each of these was.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Circuit,
  type Credentials,
  Fallback,
  type Mcp,
  RetryPolicy,
  type ServerConfig,
  type Session,
  SessionError,
  SessionPool,
  Sessions,
  Transport
} from "@mcp-sessions/core"
import {
  Cause,
  Deferred,
  type Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Metric,
  Option,
  Redacted,
  Schedule,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../fixtures/scripted.ts"

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** A server that answers with its name, as long as it has no trouble. */
const named = (name: string) => {
  const trouble: {
    connect?: Effect.Effect<void, SessionError.Reason> | undefined
    answer?: ((method: string, tool: unknown) => Effect.Effect<unknown, SessionError.Reason> | undefined) | undefined
  } = {}
  const script = Scripted.make({
    connect: () => Effect.suspend(() => trouble.connect ?? Effect.void),
    answer: ({ method, params }) =>
      trouble.answer?.(method, params?.name) ??
        Effect.succeed({ content: [{ type: "text", text: name }], contents: [{ uri: name, text: name }] })
  })
  const calls = () => script.requests.flatMap((request) => request.split(":")[2] ?? [])
  return { trouble, script, calls }
}

type Named = ReturnType<typeof named>

type LayerOptions = Partial<Parameters<typeof Sessions.layer>[0]>

const fleet = (members: Readonly<Record<string, Named>>, options: LayerOptions = {}) =>
  Scripted.fleet(Object.fromEntries(Object.entries(members).map(([name, { script }]) => [name, script])), {
    reconnect: Schedule.spaced("10 seconds"),
    ...options
  })

const two = () => ({ primary: named("primary"), secondary: named("secondary") })

const servers = ["primary", "secondary"] as const

const textOf = ({ content }: Mcp.CallToolResult) => (content[0] as { readonly text: string }).text

const run = <A, E>(
  operation: (session: Session.Session) => Effect.Effect<A, E>,
  options: Partial<Fallback.FallbackOptions> = {}
) => Effect.flatMap(Sessions.Sessions, ({ withFallback }) => withFallback({ servers, ...options }, operation))

const call = (options?: Partial<Fallback.FallbackOptions>) =>
  Effect.map(run((session) => session.callTool("charge"), options), textOf)

const lost = new SessionError.TransportFailed({ description: "reset", code: "ECONNRESET", delivery: "Unknown" })
const unavailable = new SessionError.HttpFailed({ status: 503, retryAfter: "0", delivery: "Rejected" })
const unauthorized = new SessionError.AuthRequired({ status: 401 })

const stdio = { transport: "stdio" as const, command: "s", args: [], healthInterval: 0 }

const tokenOf = ({ config }: ServerConfig.ServerDefinition): string =>
  "env" in config && config.env.TOKEN !== undefined ? Redacted.value(config.env.TOKEN) : ""

/** Waits in virtual time. */
const settled = <A, E>(fiber: Fiber.Fiber<A, E>, steps = 60) =>
  Effect.gen(function*() {
    for (let n = 0; n < steps && fiber.pollUnsafe() === undefined; n++) yield* TestClock.adjust("1 second")
    return fiber.pollUnsafe()
  })

describe("fallback: a tool runs on one server only", () => {
  it.effect("even if the operation goes on without waiting for it", () => {
    const members = two()
    members.primary.trouble.answer = (method) => method === "tools/call" ? Effect.never : Effect.fail(lost)
    return Effect.gen(function*() {
      yield* Effect.exit(run((session) =>
        Effect.andThen(
          start(session.callTool("charge")),
          session.readResource("test:")
        )
      ))
      assert.deepStrictEqual([members.primary.calls(), members.secondary.calls()], [["charge"], []])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("even if another operation fails with the same connection at the same time", () => {
    const members = two()
    const gate = Deferred.makeUnsafe<void>()
    return Effect.gen(function*() {
      const careful = yield* start(Effect.exit(run((session) =>
        session.callTool("charge").pipe(
          Effect.andThen(Deferred.await(gate)),
          Effect.andThen(session.readResource("test:")),
          Effect.onError(() => Effect.sleep("1 second"))
        )
      )))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
      members.primary.trouble.connect = Effect.andThen(Effect.sleep("1 second"), Scripted.refused)
      yield* members.primary.script.lose(lost)
      yield* Deferred.succeed(gate, undefined)
      const other = yield* start(run((session) => session.readResource("test:")))
      yield* settled(other)
      yield* settled(careful)
      assert.deepStrictEqual(members.secondary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("even if a plan passes its server over at the same time", () => {
    const members = two()
    members.primary.trouble.answer = (method) => method === "resources/read" ? Effect.fail(unavailable) : undefined
    return Effect.gen(function*() {
      const { fallbackPlan } = yield* Sessions.Sessions
      for (let n = 0; n < 3; n++) yield* run((session) => session.readResource("test:"))
      const careful = yield* start(Effect.exit(run((session) =>
        session.callTool("charge").pipe(
          Effect.andThen(Effect.forEach([1, 2, 3, 4], () => Effect.flip(session.readResource("test:")))),
          Effect.flatMap(([, , , last]) => Effect.fail(last ?? assert.fail())),
          Effect.onError(() => Effect.sleep("1 second"))
        )
      )))
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
      const plan = yield* fallbackPlan({ servers })
      yield* Effect.withExecutionPlan(
        Effect.flatMap(Fallback.CurrentSession, (session) => session.readResource("test:")),
        plan
      )
      yield* settled(careful)
      assert.deepStrictEqual(members.secondary.calls(), [])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("a tool that runs as a task", () => {
  it.effect("is never told to be NotSent once the server has accepted it", () => {
    let isDown = false
    const script = Scripted.make({
      info: { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } as never },
      connect: () => Effect.suspend(() => isDown ? Effect.fail(Scripted.refused) : Effect.void),
      answer: ({ method }) =>
        Effect.sync(() => {
          const task = { taskId: "1", status: "working", pollInterval: 1000 }
          return method === "tools/call" ? { task } : task
        })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(Effect.flip(callTool("s", "charge", {}, { task: {} })))
      yield* TestClock.adjust("1500 millis")
      assert.include(script.requests, "1:tools/call:charge")
      isDown = true
      yield* script.lose(lost)
      yield* settled(fiber)
      const error = yield* Fiber.join(fiber)
      assert(error._tag === "SessionError")
      assert.deepStrictEqual([error.delivery, error.isRetryable], ["Unknown", false])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("fallback: hedging", () => {
  for (
    const [what, beside] of [
      [
        "beside something else",
        (tool: Effect.Effect<Mcp.CallToolResult, SessionError.SessionError>) =>
          Effect.map(Effect.all([tool, Effect.void], { concurrency: 2 }), ([result]) => result)
      ],
      [
        "in a race",
        (tool: Effect.Effect<Mcp.CallToolResult, SessionError.SessionError>) => Effect.raceFirst(tool, Effect.never)
      ]
    ] as const
  ) {
    it.effect(`lets a tool run that is called ${what}`, () => {
      const members = two()
      members.primary.trouble.answer = (method) =>
        method === "resources/read" ? Effect.delay(Effect.succeed({ contents: [] }), "10 millis") : undefined
      return Effect.gen(function*() {
        const fiber = yield* start(Effect.exit(
          run(
            (session) => Effect.andThen(session.readResource("test:"), beside(session.callTool("charge"))),
            { hedge: "1 second" }
          )
        ))
        yield* TestClock.adjust("100 millis")
        yield* settled(fiber)
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
        assert.deepStrictEqual(members.primary.calls(), ["charge"])
      }).pipe(Effect.provide(fleet(members)))
    })
  }

  it.effect("lets one of two go on whose tools are called where they cannot be interrupted", () => {
    const members = two()
    members.primary.trouble.answer = (method) =>
      method === "resources/read" ? Effect.delay(Effect.succeed({ contents: [] }), "3 seconds") : undefined
    return Effect.gen(function*() {
      const operation = (session: Session.Session) =>
        Effect.acquireUseRelease(
          Effect.andThen(session.readResource("test:"), session.callTool("open")),
          Effect.succeed,
          () => Effect.void
        )
      const fiber = yield* Effect.forkDetach(run(operation, { hedge: "1 second" }), { startImmediately: true })
      yield* settled(fiber)
      assert.isDefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("has ended on both servers when its caller is told of the interruption", () => {
    const members = two()
    let under = 0
    for (const { trouble } of Object.values(members)) {
      trouble.answer = () =>
        Effect.acquireUseRelease(Effect.sync(() => under++), () => Effect.never, () => Effect.sync(() => under--))
    }
    let seen: number | undefined
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.acquireUseRelease(
        Effect.void,
        () => run((session) => session.readResource("test:"), { hedge: "1 second" }),
        () =>
          Effect.sync(() => {
            seen = under
          })
      ))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(under, 2)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(seen, 0)
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("fallback: what moves on", () => {
  it.effect("is an operation whose credentials cannot be had at the first server", () => {
    const members = two()
    return Effect.gen(function*() {
      const result = yield* Effect.result(call())
      assert.strictEqual(result._tag, "Success")
    }).pipe(Effect.provide(fleet(members, {
      credentials: ({ owner, server }) =>
        server === "primary" ? Effect.fail(new SessionError.CredentialsFailed({ owner })) : Effect.succeed({})
    })))
  })

  it.effect("is an idempotent tool whose server dies with it, also where a retry policy is given", () => {
    const members = two()
    members.primary.trouble.answer = () =>
      Effect.suspend(() => {
        members.primary.trouble.connect = Effect.fail(Scripted.refused)
        return Effect.fail(new SessionError.TransportClosed({ delivery: "Unknown" }))
      })
    return Effect.gen(function*() {
      const fiber = yield* start(
        run((session) => session.callTool("put", {}, { idempotent: true }), { retry: RetryPolicy.retryDefault })
      )
      const exit = yield* settled(fiber)
      assert.strictEqual(exit?._tag, "Success")
      assert.deepStrictEqual(members.secondary.calls(), ["put"])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("is a list that is watched, which was never sent", () => {
    const members = two()
    members.primary.trouble.connect = Effect.fail(Scripted.refused)
    members.secondary.trouble.answer = () => Effect.succeed({ tools: [] })
    return Effect.gen(function*() {
      const fiber = yield* start(Effect.result(run((session) => Stream.runHead(session.watchTools))))
      yield* settled(fiber)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Success")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("tries each server once, also one that is named twice", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.fail(unavailable)
    return Effect.gen(function*() {
      yield* call({ servers: ["primary", "primary", "secondary"] })
      assert.deepStrictEqual(members.primary.calls(), ["charge"])
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("leaves what an operation acquires to the scope of its caller", () => {
    const members = two()
    let open = 0
    const resource = Effect.acquireRelease(Effect.sync(() => ++open), () => Effect.sync(() => --open))
    return Effect.gen(function*() {
      const { withFallback } = yield* Sessions.Sessions
      yield* Effect.scoped(Effect.gen(function*() {
        yield* withFallback({ servers }, () => resource)
        assert.strictEqual(open, 1)
      }))
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("fallback: standing", () => {
  it.effect("of a server that is not well for one owner is no worse for another", () => {
    const members = two()
    const owners = fleet(members, {
      credentials: ({ owner }) => Effect.succeed({ env: { TOKEN: Redacted.make(owner) } })
    })
    let current = ""
    members.primary.trouble.answer = () => current === "revoked" ? Effect.fail(unauthorized) : undefined
    const as = (owner: string) =>
      Effect.suspend(() => {
        current = owner
        return call({ owner })
      })
    return Effect.gen(function*() {
      assert.strictEqual(yield* as("good"), "primary")
      for (let n = 0; n < 4; n++) assert.strictEqual(yield* as("revoked"), "secondary")
      assert.strictEqual(yield* as("good"), "primary")
    }).pipe(Effect.provide(owners))
  })

  it.effect("of a server is no worse for an owner that waits for itself", () => {
    const members = two()
    members.primary.trouble.answer = (_, tool) => tool === "slow" ? Effect.never : undefined
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.forEach([1, 2], () => start(callTool("primary", "slow", {}, { owner: "loud" })))
      for (let n = 0; n < 4; n++) assert.strictEqual(yield* call({ owner: "loud" }), "secondary")
      assert.strictEqual(yield* call({ owner: "quiet" }), "primary")
    }).pipe(Effect.provide(fleet(members, {
      servers: { primary: { ...stdio, maxInFlight: 1, maxQueued: 1 }, secondary: stdio }
    })))
  })

  it.effect("of a server whose signs of life cannot be asked for once is not lost for ever", () => {
    const members = two()
    let given: Credentials.Credentials = {}
    members.primary.trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* call()
      members.primary.trouble.connect = undefined
      given = { env: { NODE_OPTIONS: Redacted.make("x") } }
      yield* TestClock.adjust("6 seconds")
      given = {}
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* call(), "primary")
    }).pipe(Effect.provide(fleet(members, {
      credentials: ({ server }) => Effect.sync(() => server === "primary" ? given : {})
    })))
  })

  it.effect("of a server whose signs of life meet a defect once is not lost for ever", () => {
    const members = two()
    members.primary.trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* call()
      members.primary.trouble.connect = Effect.die("once")
      yield* TestClock.adjust("6 seconds")
      members.primary.trouble.connect = undefined
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* call(), "primary")
    }).pipe(Effect.provide(fleet(members)))
  })

  for (const circuit of [Circuit.never, Circuit.circuitDefault]) {
    it.effect(`of a server that failed others, not fallback, is asked for too (${circuit === Circuit.never ? "health" : "circuit"})`, () => {
      const members = two()
      members.primary.trouble.connect = Effect.fail(Scripted.refused)
      return Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("primary", "t"))
        members.primary.trouble.connect = undefined
        for (let minute = 0; minute < 60; minute++) {
          yield* call()
          yield* TestClock.adjust("1 minute")
        }
        assert.strictEqual(yield* call(), "primary")
      }).pipe(Effect.provide(fleet(members, { circuit, retry: RetryPolicy.never })))
    })
  }

  it.effect("of a server that never answers gets worse, also where callers have less patience than requests", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.never
    return Effect.gen(function*() {
      let latest: string | undefined
      for (let n = 0; n < 360; n++) {
        const fiber = yield* start(Effect.timeoutOption(call(), "2 seconds"))
        yield* TestClock.adjust("2 seconds")
        latest = Option.getOrUndefined(yield* Fiber.join(fiber))
        yield* TestClock.adjust("3 seconds")
      }
      assert.strictEqual(latest, "secondary")
    }).pipe(
      Effect.provide(fleet(members, {
        servers: { primary: { ...stdio, healthInterval: "1 minute" }, secondary: stdio },
        circuit: Circuit.circuitDefault,
        reconnect: RetryPolicy.reconnectDefault
      }))
    )
  })

  it.effect("when none is fit, a plan tries the least bad one though it is not the first", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      const { callTool, fallbackPlan } = yield* Sessions.Sessions
      const plan = yield* fallbackPlan({ servers })
      const program = Effect.flatMap(
        Fallback.CurrentSession,
        (session) => Effect.map(session.callTool("charge"), textOf)
      )
      for (let n = 0; n < 5; n++) yield* Effect.flip(callTool("primary", "t"))
      for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("secondary", "t"))
      members.secondary.trouble.connect = undefined
      const result = yield* Effect.result(Effect.withExecutionPlan(program, plan))
      assert.strictEqual(result._tag, "Success")
    }).pipe(
      Effect.provide(fleet(members, {
        retry: RetryPolicy.never,
        fallback: { ...Fallback.fallbackDefault, probeInterval: "1 hour" }
      }))
    )
  })

  it.effect("of one that was tried by a plan though it was not fit, and answered, is good again", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = Effect.fail(Scripted.refused)
    return Effect.gen(function*() {
      const { callTool, fallbackPlan } = yield* Sessions.Sessions
      const plan = yield* fallbackPlan({ servers })
      const program = Effect.flatMap(
        Fallback.CurrentSession,
        (session) => Effect.map(session.callTool("charge"), textOf)
      )
      for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("primary", "t"))
      for (let n = 0; n < 5; n++) yield* Effect.flip(callTool("secondary", "t"))
      members.primary.trouble.connect = undefined
      assert.strictEqual(yield* Effect.withExecutionPlan(program, plan), "primary")
      const again = yield* Effect.result(Effect.withExecutionPlan(program, plan))
      assert.strictEqual(again._tag, "Success")
    }).pipe(
      Effect.provide(fleet(members, {
        retry: RetryPolicy.never,
        fallback: { ...Fallback.fallbackDefault, probeInterval: "1 hour" }
      }))
    )
  })

  it.effect("of all that are passed over is told with the latest failure of each", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = Effect.fail(unauthorized)
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* Effect.flip(call())
      const failed = yield* Effect.flip(call())
      assert(failed._tag === "AllServersFailed")
      assert.deepStrictEqual(failed.errors.map(({ reason }) => reason._tag), ["AuthRequired", "AuthRequired"])
    }).pipe(Effect.provide(fleet(members)))
  })
})

describe("what one owner is told", () => {
  const exited = new SessionError.ServerExited({
    exitCode: 1,
    signal: null,
    stderrTail: "the ledger of a",
    delivery: "NotSent"
  })

  it.effect("of servers that are passed over holds nothing of another one's processes", () => {
    const members = two()
    for (const { trouble } of Object.values(members)) trouble.connect = Effect.fail(exited)
    return Effect.gen(function*() {
      for (let n = 0; n < 5; n++) yield* Effect.flip(call({ owner: "a" }))
      const failed = yield* Effect.flip(call({ owner: "b" }))
      assert.notInclude(JSON.stringify(failed), "the ledger of a")
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("of a pool that is full holds nothing of another one's processes", () => {
    let isDown = true
    const script = Scripted.make({ connect: () => Effect.suspend(() => isDown ? Effect.fail(exited) : Effect.void) })
    return Effect.gen(function*() {
      const pool = yield* SessionPool.make({ server: "s", max: 1 })
      const failing = yield* start(Effect.exit(pool.callTool("t", {}, { owner: "a" })))
      yield* settled(failing)
      isDown = false
      yield* pool.get({ owner: "c" })
      const waiting = yield* start(Effect.flip(pool.get({ owner: "b" })))
      yield* settled(waiting)
      assert.notInclude(JSON.stringify(yield* Fiber.join(waiting)), "the ledger of a")
    }).pipe(Effect.scoped, Effect.provide(Scripted.sessions(script)))
  })
})

describe("circuits and policies", () => {
  it.effect("that were pardoned for an operation that never came to the server stay open", () => {
    let isLocked = false
    const script = Scripted.make({
      answer: () => Effect.fail(new SessionError.HttpFailed({ status: 500, delivery: "Rejected" }))
    })
    return Effect.gen(function*() {
      const { callTool, withFallback } = yield* Sessions.Sessions
      for (let n = 0; n < 4; n++) yield* Effect.flip(callTool("s", "t"))
      isLocked = true
      yield* Effect.flip(withFallback({ servers: ["s"] }, (session) => session.callTool("t")))
      isLocked = false
      const before = script.requests.length
      yield* Effect.flip(callTool("s", "t"))
      assert.strictEqual(script.requests.length, before)
    }).pipe(Effect.provide(Scripted.sessions(script, {
      circuit: Circuit.circuitDefault,
      retry: RetryPolicy.never,
      credentials: ({ owner }) =>
        Effect.suspend(() => isLocked ? Effect.fail(new SessionError.CredentialsFailed({ owner })) : Effect.succeed({}))
    })))
  })

  for (
    const [what, policy] of [
      ["a number of signs of life that is none", { goodProbes: Number.NaN }],
      ["a negative number of them", { goodProbes: -1 }],
      ["a pause that is none", { probeInterval: Number.NaN }],
      ["a window that is none", { panicWindow: "soon" as "1 second" }]
    ] as const
  ) {
    it.effect(`are refused as a ConfigError with ${what} [T39]`, () =>
      Effect.gen(function*() {
        const layer = Scripted.sessions(Scripted.make({}), { fallback: { ...Fallback.fallbackDefault, ...policy } })
        const exit = yield* Effect.exit(Effect.provide(Effect.void, layer))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
      }))
  }
})

const poolOf = (options: Partial<SessionPool.SessionPoolOptions> = {}) => SessionPool.make({ server: "s", ...options })

const borrow = Effect.fnUntraced(function*(pool: SessionPool.SessionPool, owner?: string) {
  const scope = yield* Scope.make()
  const session = yield* Scope.provide(pool.get({ owner }), scope)
  return { session, giveBack: Scope.close(scope, Exit.void) }
})

describe("a pool", () => {
  it.effect("loses no place to a session whose opening met a defect", () => {
    const script = Scripted.make({ connect: (n) => n === 1 ? Effect.die("once") : Effect.void })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      const first = yield* start(Effect.exit(pool.callTool("t")))
      yield* settled(first)
      const second = yield* start(Effect.exit(pool.callTool("t")))
      assert.strictEqual((yield* settled(second))?._tag, "Success")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(second)), JSON.stringify(yield* pool.stats))
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  for (const [what, onLeak] of [["fails with a defect", Effect.die("report")], ["never ends", Effect.never]] as const) {
    it.effect(`goes on closing what is idle though the report of a leak ${what}`, () => {
      const script = Scripted.make({})
      return Effect.gen(function*() {
        const pool = yield* poolOf({ leakAfter: "1 minute", idleTimeToLive: "2 minutes", onLeak: () => onLeak })
        yield* borrow(pool)
        yield* TestClock.adjust("1 minute")
        yield* Effect.andThen(borrow(pool), ({ giveBack }) => giveBack)
        assert.strictEqual(script.open, 2)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(script.open, 1)
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }

  it.effect("lends a session only as whom it was opened, though credentials change while it is opened", () => {
    const scripts = { one: Scripted.make({}), two: Scripted.make({}) }
    let asked = 0
    let token: keyof typeof scripts = "one"
    const layer = Sessions.layer({
      servers: { s: stdio },
      circuit: Circuit.never,
      credentials: () =>
        Effect.sync(() => {
          const env = { TOKEN: Redacted.make(token as string) }
          // They change right after they were first asked for.
          if (++asked === 1) token = "two"
          return { env }
        })
    }).pipe(Layer.provide(Layer.succeed(Transport.Transports, {
      transport: (definition) => scripts[tokenOf(definition) as keyof typeof scripts].transport
    })))
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      yield* pool.callTool("t")
      const before = scripts.two.requests.length
      // Back to the first: what was opened with the second must not serve it.
      token = "one"
      yield* pool.callTool("t")
      assert.strictEqual(scripts.two.requests.length, before)
    }).pipe(Effect.provide(layer))
  })

  it.effect("lends a session to one borrower at a time, also when the call of another goes on after its loan", () => {
    let under = 0
    const script = Scripted.make({
      answer: ({ params }) =>
        params?.name === "slow"
          ? Effect.acquireUseRelease(Effect.sync(() => under++), () => Effect.never, () => Effect.sync(() => under--))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      yield* pool.use((session) => start(session.callTool("slow")))
      assert.strictEqual(under, 1)
      yield* pool.callTool("t")
      // The session on which that goes on was closed, as all are with which something is not right.
      assert.deepStrictEqual(script.requests, ["1:tools/call:slow", "2:tools/call:t"])
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("keeps open what it is to keep, also when the connection is lost while nobody has it", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      yield* poolOf({ min: 1 })
      assert.strictEqual(script.open, 1)
      yield* script.lose(lost)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(script.open, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("does not lend again a session whose connection was replaced while it was asked for a sign of life", () => {
    const script = Scripted.make({
      answer: ({ connection, method }) =>
        connection === 1 && method === "ping"
          ? Effect.fail(new SessionError.SessionExpired({ status: 404 }))
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1 })
      yield* pool.callTool("t")
      yield* TestClock.adjust("1 minute")
      yield* pool.use((session) => Effect.map(session.generation, (generation) => assert.strictEqual(generation, 1)))
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("asks a session for a sign of life that gave no answer in time before it lends it again", () => {
    const script = Scripted.make({
      answer: ({ connection }) => connection === 1 ? Effect.never : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 2 })
      const first = yield* start(Effect.exit(pool.callTool("t", {}, { timeout: "1 second" })))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      const second = yield* start(pool.callTool("t"))
      yield* TestClock.adjust("4 seconds")
      assert.isDefined(second.pollUnsafe())
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("of shared sessions serves first who came first", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf({ max: 1, concurrency: 2, acquireTimeout: "1 minute" })
      let held = yield* borrow(pool, "a")
      const waiting = yield* start(Effect.result(pool.callTool("t", {}, { owner: "b" })))
      for (let second = 0; second < 70; second++) {
        const next = yield* start(borrow(pool, "a"))
        yield* held.giveBack
        yield* TestClock.adjust("1 second")
        const got = next.pollUnsafe()
        if (got?._tag === "Success") held = got.value
        else break
      }
      yield* held.giveBack
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Success")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("lets nobody wait longer than acquireTimeout, whatever for", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf({ acquireTimeout: "5 seconds" })
      const waiting = yield* start(Effect.exit(pool.callTool("t")))
      yield* TestClock.adjust("1 minute")
      assert.isDefined(waiting.pollUnsafe())
    }).pipe(Effect.provide(Scripted.sessions(script, {
      credentials: () => Effect.as(Effect.sleep("1 hour"), {})
    })))
  })

  for (
    const what of ["credentials that were not in order", "a defect"] as const
  ) {
    it.effect(`keeps as many as it is to keep after ${what}, once`, () => {
      let given: Credentials.Credentials = {}
      let died = what === "credentials that were not in order"
      const script = Scripted.make({
        connect: () => {
          if (died) return Effect.void
          died = true
          return Effect.die("once")
        }
      })
      return Effect.gen(function*() {
        if (what === "credentials that were not in order") given = { env: { NODE_OPTIONS: Redacted.make("x") } }
        const pool = yield* poolOf({ min: 1 })
        yield* TestClock.adjust("1 second")
        given = {}
        yield* TestClock.adjust("1 hour")
        // Somebody comes and goes, which sets it going.
        yield* pool.callTool("t", {}, { owner: "other" })
        yield* TestClock.adjust("1 hour")
        assert.deepInclude(yield* pool.stats, { total: 1, idle: 1 })
      }).pipe(Effect.provide(Scripted.sessions(script, { credentials: () => Effect.sync(() => given) })))
    })
  }
})

describe("turns", () => {
  const held = (config: object) => {
    const answers: Array<Deferred.Deferred<unknown, SessionError.Reason>> = []
    const script = Scripted.make({
      answer: () => {
        const answer = Deferred.makeUnsafe<unknown, SessionError.Reason>()
        answers.push(answer)
        return Deferred.await(answer)
      }
    })
    return { answers, script, layer: Scripted.sessions(script, { servers: { s: { ...stdio, ...config } } }) }
  }

  it.effect("of those who wait for a place wait for the pause that a 429 asks for as well", () => {
    const { answers, layer, script } = held({ maxInFlight: 1 })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* start(Effect.exit(callTool("s", "a", {}, { retry: RetryPolicy.never })))
      yield* Effect.forEach(["b", "c", "d"], (tool) => start(Effect.exit(callTool("s", tool))))
      yield* Deferred.fail(
        answers[0] ?? assert.fail(),
        new SessionError.HttpFailed({ status: 429, retryAfter: "30", delivery: "Rejected" })
      )
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(script.requests, ["1:tools/call:a"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("keep to the rate also when they waited for a place", () => {
    const { answers, layer, script } = held({ maxInFlight: 1, rateLimit: { limit: 1, window: "1 second" } })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* Effect.forEach(
        Array.from({ length: 6 }, (_, n) => `${n}`),
        (tool) => start(Effect.exit(callTool("s", tool)))
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(script.requests.length, 1)
      // Each answer brings the next request, and its answer into the list.
      for (const answer of answers) yield* Deferred.succeed(answer, { content: [] })
      assert.isAtMost(script.requests.length, 2)
    }).pipe(Effect.provide(layer))
  })
})

describe("credentials", () => {
  it.effect("that changed are those that a server kept there is reconnected with", () => {
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
      yield* Stream.runDrain(yield* openAll())
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

  it.effect("that are new need not wait for the connection with the old ones to be closed", () => {
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

  it.effect("that changed twice in a row leave no connection with those in between", () => {
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

  it.effect("or transports that met a defect once are asked for again", () => {
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

describe("telemetry", () => {
  const counts = Effect.map(Metric.snapshot, (all) =>
    Object.fromEntries(
      all.filter(({ id }) => id.startsWith("mcp_sessions_")).map(({ attributes, id, state }) => [
        `${attributes?.server} ${id}`,
        (state as { readonly count?: number; readonly value?: number }).count ?? (state as { value: number }).value
      ])
    ))

  it.effect("makes no span where nobody looks at them", () => {
    const spans: Array<string> = []
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      yield* callTool("s", "t")
      assert.deepStrictEqual(spans, [])
    }).pipe(Effect.provide(Scripted.sessions(script, {
      credentials: () =>
        Effect.map(Effect.option(Effect.currentSpan), (span) => {
          if (span._tag === "Some") spans.push(span.value.name)
          return {}
        })
    })))
  })

  it.effect("does not count signs of life among the operations", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const pool = yield* poolOf()
      yield* pool.callTool("t")
      yield* TestClock.adjust("31 seconds")
      yield* pool.callTool("t")
      assert.strictEqual((yield* counts)["s mcp_sessions_operations_total"], 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("counts a call that runs as a task once", () => {
    let asked = 0
    const script = Scripted.make({
      info: { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } as never },
      answer: ({ method }) =>
        Effect.sync(() => {
          const task = { taskId: "1", status: asked++ < 5 ? "working" : "completed", pollInterval: 100 }
          return method === "tools/call" ? { task } : method === "tasks/result" ? { content: [] } : task
        })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(callTool("s", "t", {}, { task: {} }))
      yield* settled(fiber)
      yield* Fiber.join(fiber)
      assert.strictEqual((yield* counts)["s mcp_sessions_operations_total"], 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("counts as fallbacks what moves on after hedging", () => {
    const members = { ...two(), tertiary: named("tertiary") }
    members.primary.trouble.answer = () => Effect.delay(Effect.fail(lost), "2 seconds")
    members.secondary.trouble.answer = () => Effect.delay(Effect.fail(lost), "2 seconds")
    return Effect.gen(function*() {
      const fiber = yield* start(run((session) => session.readResource("test:"), {
        servers: ["primary", "secondary", "tertiary"],
        hedge: "1 second"
      }))
      yield* settled(fiber)
      yield* Fiber.join(fiber)
      const seen = yield* counts
      assert.deepStrictEqual(
        servers.map((server) => seen[`${server} mcp_sessions_fallbacks_total`]),
        [1, 1]
      )
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("counts as fallbacks what a plan moves on", () => {
    const members = two()
    members.primary.trouble.answer = () => Effect.fail(lost)
    return Effect.gen(function*() {
      const plan = yield* Effect.flatMap(Sessions.Sessions, ({ fallbackPlan }) => fallbackPlan({ servers }))
      yield* Effect.withExecutionPlan(
        Effect.flatMap(Fallback.CurrentSession, (session) => session.readResource("test:")),
        plan
      )
      assert.strictEqual((yield* counts)["primary mcp_sessions_fallbacks_total"], 1)
    }).pipe(Effect.provide(fleet(members)))
  })

  it.effect("of two sets of sessions that know a server by the same name shows both", () => {
    const script = Scripted.make({})
    const layer = () => Layer.fresh(Scripted.sessions(script))
    const once = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "t"))
    return Effect.gen(function*() {
      yield* once
      yield* Effect.provide(once, layer(), { local: true })
      assert.isDefined((yield* counts)["s mcp_sessions_operations_total"])
    }).pipe(Effect.provide(layer()))
  })
})
