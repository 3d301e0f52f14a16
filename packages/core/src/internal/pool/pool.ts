/**
 * Pool of sessions of one server: made for a scope, and closed with it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Session } from "../../Session.ts"
import { Interpreter } from "./interpreter.ts"
import { leaseSession } from "./leaseSession.ts"
import type { PoolOptions } from "./poolOptions.ts"
import type { AcquireTimeoutFields, Failure, PoolPort, PoolStats } from "./poolPort.ts"

export interface Pool<E> {
  readonly lease: (owner: string) => Effect.Effect<Session, Failure | E, Scope.Scope>
  readonly stats: Effect.Effect<PoolStats>
  readonly drain: Effect.Effect<void>
}

/** Makes a pool that ends with the scope. */
export const make = Effect.fnUntraced(function*<E>(options: {
  readonly options: PoolOptions
  readonly port: PoolPort
  readonly timedOut: (fields: AcquireTimeoutFields) => E
}): Effect.fn.Return<Pool<E>, never, Scope.Scope> {
  const work = yield* Scope.make("parallel")
  const all = yield* Scope.make("parallel")
  const clock = yield* Clock.Clock
  const pool = new Interpreter({ ...options, clock, context: yield* Effect.context<never>(), work, all })
  yield* Effect.addFinalizer((exit) =>
    Effect.suspend(() => {
      pool.close()
      return Effect.all([Scope.close(work, exit), Scope.close(all, exit)], { concurrency: "unbounded", discard: true })
    })
  )
  const { telemetry } = options.port
  yield* telemetry.measure("poolSessions", () => pool.stats().total)
  yield* telemetry.measure("poolLeased", () => pool.stats().active)
  yield* telemetry.measure("poolWaiting", () => pool.stats().waiting)
  pool.serve()
  return {
    lease: (owner) => leaseSession({ pool, owner, timedOut: options.timedOut }),
    stats: Effect.sync(() => pool.stats()),
    drain: Effect.sync(() => pool.drain())
  }
})
