/**
 * Calls at a steady rate: a call does not wait for the calls before it.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { AllServersFailed } from "@mcp-sessions/core/FallbackPolicy"
import type { Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as SessionPool from "@mcp-sessions/core/SessionPool"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ending from "./ending.ts"
import { pick, type Random } from "./options.ts"
import { type Kind, kinds, type Tally, type Target, targets } from "./Tally.ts"

type Failure = SessionError | ConfigError | AllServersFailed | SessionPool.AcquireTimeout

const owners = ["ann", "bob", "cid", "dan"] as const

/** The interval at which due calls are made, in milliseconds. */
const tick = 10

/** Gives the text of the answer, which identifies its call. */
const operationOf =
  (kind: Kind, id: number) => (session: Session): Effect.Effect<string, SessionError | ConfigError> => {
    switch (kind) {
      case "read":
        return Effect.map(
          session.readResource(`call://${id}`),
          ({ contents: [content] }) => content !== undefined && "text" in content ? content.text : ""
        )
      case "put":
      case "charge":
        return Effect.map(session.callTool(kind, { id: String(id) }, { idempotent: kind === "put" }), ({ content }) => {
          const [block] = content
          return block?.type === "text" ? block.text : ""
        })
    }
  }

const expectedOf = (kind: Kind, id: number): string => kind === "read" ? `call://${id}` : String(id)

/** Watches a list over all reconnects: subscriptions, which each connection renews, are the likeliest to leak. */
const watch = (session: Session, tally: Tally): Effect.Effect<void> =>
  Stream.runForEach(session.watchTools, () => Effect.sync(() => tally.lists++)).pipe(
    Effect.onExit((exit) => {
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return Effect.void
      const { delivery, what } = ending.of({ exit, expected: "", wasAsked: true })
      return Effect.sync(() => delivery === "Untyped" ? void tally.strays.push(what) : undefined)
    }),
    Effect.catch(() => Effect.sleep("1 second")),
    Effect.forever
  )

/** Connects to all servers. `offer` makes calls for ever; `settled` waits for those in flight. */
export const make = Effect.fnUntraced(function*(options: {
  readonly tally: Tally
  readonly random: Random
  readonly rate: number
}): Effect.fn.Return<
  { readonly offer: Effect.Effect<never>; readonly settled: Effect.Effect<void> },
  SessionError | ConfigError,
  Sessions | Scope.Scope
> {
  const { random, rate, tally } = options
  const sessions = yield* Sessions
  const held = {
    stdio: yield* sessions.get("stdio"),
    http: yield* sessions.get("http"),
    websocket: yield* sessions.get("websocket")
  }
  for (const session of Object.values(held)) yield* Effect.forkScoped(watch(session, tally))
  const pool = yield* SessionPool.make({ server: "pool", max: 6, acquireTimeout: "2 seconds" })
  const calls = yield* FiberSet.make()

  const callAt = (
    target: Target,
    operation: (session: Session) => Effect.Effect<string, SessionError | ConfigError>
  ): Effect.Effect<string, Failure> => {
    switch (target) {
      case "pool":
        return pool.use(operation, { owner: pick({ random, from: owners }) })
      case "fallback":
        return sessions.withFallback({
          servers: ["primary", "secondary"],
          hedgeAfter: random() < 0.2 ? "500 millis" : undefined
        }, operation)
      default:
        // Half of the calls hold their session, half take one for each call.
        return random() < 0.5 ? operation(held[target]) : sessions.use(target, operation)
    }
  }

  const call = Effect.suspend(() => {
    const target = pick({ random, from: targets })
    const kind = pick({ random, from: kinds })
    const id = tally.begin(target, kind)
    let wasAsked = false
    const operation = operationOf(kind, id)
    return Effect.onExit(
      callAt(target, (session) => {
        wasAsked = true
        return operation(session)
      }),
      (exit) => Effect.sync(() => tally.end(id, target, ending.of({ exit, expected: expectedOf(kind, id), wasAsked })))
    )
  })

  const offer = Effect.gen(function*() {
    const since = performance.now()
    let offered = 0
    while (true) {
      const due = (performance.now() - since) * rate / 1000
      while (offered < due) {
        offered++
        yield* FiberSet.run(calls, Effect.exit(call))
      }
      yield* Effect.sleep(tick)
    }
  })
  return { offer, settled: FiberSet.awaitEmpty(calls) }
})
