/**
 * Calls at a steady rate: a call does not wait for the calls before it.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { AllServersFailed } from "@mcp-sessions/core/FallbackPolicy"
import type { Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as SessionPool from "@mcp-sessions/core/SessionPool"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as ending from "./ending.ts"
import { type Kind, kinds, type Record, targets } from "./record.ts"

export const owners = ["ann", "bob", "cid", "dan"] as const

/** The interval at which due calls are made, in milliseconds. */
const tick = 10

const contentOf = (kind: Kind, id: number): string => kind === "read" ? `call://${id}` : String(id)

type Failure = SessionError | ConfigError | AllServersFailed | SessionPool.AcquireTimeout
type Operation = (session: Session) => Effect.Effect<string, SessionError | ConfigError>

/** Gives the text of the answer, which identifies its call. `prefix` is what the names of tools begin with. */
export const operationOf = ({ content, kind, prefix = "" }: {
  readonly kind: Kind
  readonly content: string
  readonly prefix?: string
}): Operation =>
(session) =>
  kind === "read"
    ? Effect.map(
      session.readResource(content),
      ({ contents: [block] }) => block !== undefined && "text" in block ? block.text : ""
    )
    : Effect.map(
      session.callTool(`${prefix}${kind}`, { id: content }, { idempotent: kind === "put" }),
      ({ content: [block] }) => block?.type === "text" ? block.text : ""
    )

/** Watches a list over all reconnects: subscriptions, which each connection renews, are the likeliest to leak. */
const watch = (session: Session, record: Record): Effect.Effect<void> =>
  Stream.runDrain(session.watchTools).pipe(
    Effect.tapDefect((defect) => Effect.sync(() => record.strays.push(String(defect)))),
    Effect.catch(() => Effect.sleep("1 second")),
    Effect.forever
  )

export interface LoadOptions {
  readonly record: Record
  readonly seed: number
  /** Calls per second. */
  readonly rate: number
}

/** Chooses by a source of random numbers. */
export const picker = (random: typeof Random.Random.Service) => ({
  chance: (share: number): boolean => random.nextDoubleUnsafe() < share,
  pick: <A>(from: readonly [A, ...ReadonlyArray<A>]): A =>
    from[Math.floor(random.nextDoubleUnsafe() * from.length)] ?? from[0]
})

/** Makes calls at a steady rate, for ever. */
export const offerSteadily = <E>({ call, calls, rate }: {
  readonly call: Effect.Effect<unknown, E>
  readonly calls: FiberSet.FiberSet
  readonly rate: number
}): Effect.Effect<never> =>
  Effect.gen(function*() {
    const since = performance.now()
    let offered = 0
    while (true) {
      const due = (performance.now() - since) * rate / 1000
      for (; offered < due; offered++) yield* FiberSet.run(calls, Effect.exit(call))
      yield* Effect.sleep(tick)
    }
  })

/** Connects to all servers. `offer` makes calls for ever; `settled` waits for those in flight. */
export const make = Effect.fnUntraced(function*({ rate, record, seed }: LoadOptions) {
  const { chance, pick } = picker(yield* Random.Random.pipe(Random.withSeed(seed)))
  const sessions = yield* Sessions
  const held = {
    stdio: yield* sessions.get("stdio"),
    http: yield* sessions.get("http"),
    websocket: yield* sessions.get("websocket")
  }
  for (const session of Object.values(held)) yield* Effect.forkScoped(watch(session, record))
  const pool = yield* SessionPool.make({ server: "pool", max: 6, acquireTimeout: "2 seconds" })
  const calls = yield* FiberSet.make()

  const call = Effect.suspend(() => {
    const [target, kind] = [pick(targets), pick(kinds)]
    const { end, id } = record.begin(target, kind)
    const expected = contentOf(kind, id)
    const operation = operationOf({ kind, content: expected })
    const servers = ["primary", "secondary"] as const
    const called: Effect.Effect<string, Failure> = target === "pool"
      ? pool.use(operation, { owner: pick(owners) })
      : target === "fallback"
      ? sessions.withFallback({ servers, hedgeAfter: chance(0.2) ? "500 millis" : undefined }, operation)
      // Half of the calls hold their session, half take one for each call.
      : chance(0.5)
      ? operation(held[target])
      : sessions.use(target, operation)
    return Effect.onExit(called, (exit) => Effect.sync(() => end(ending.of(exit, expected))))
  })

  return { offer: offerSteadily({ call, calls, rate }), settled: FiberSet.awaitEmpty(calls) }
})
