/**
 * Lease: waits for a session, validates it, and returns it to the pool when the scope ends.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Session } from "../../Session.ts"
import { ClientSession } from "../session/clientSession.ts"
import type { PoolIdentity } from "./allocation.ts"
import type { Interpreter } from "./interpreter.ts"
import type { Lease } from "./leases.ts"
import { type PooledSession, validate } from "./pooledSession.ts"
import type { AcquireTimeoutFields, Failure } from "./poolPort.ts"

interface Request<E> {
  readonly pool: Interpreter
  readonly owner: string
  readonly timedOut: (fields: AcquireTimeoutFields) => E
}

type Restore = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

/** Leases a session to an owner, for as long as the scope. */
export const leaseSession = <E>(request: Request<E>): Effect.Effect<Session, Failure | E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { owner, pool } = request
      const { acquireMillis } = pool.options
      const deadline = pool.now() + acquireMillis
      const identity = yield* restore(
        Effect.timeoutOrElse(pool.port.identity(owner), { duration: acquireMillis, orElse: () => timeOut(request) })
      )
      pool.evictOthers(identity)
      const pooled = yield* acquire({ ...request, identity, deadline, restore })
      const ended = Deferred.makeUnsafe<void>()
      const span = Option.getOrUndefined(yield* Effect.option(Effect.currentSpan))
      const lease: Lease = { owner, since: pool.now(), span }
      pool.leases.add(lease)
      pool.port.telemetry.count("poolLeases")
      pool.watchLeases()
      yield* Effect.addFinalizer(() => {
        pool.leases.end(lease)
        return Effect.andThen(Deferred.succeed(ended, undefined), pool.release(pooled, true))
      })
      return ClientSession.fork({ session: pooled.session, ended })
    })
  )

/** Waits for a session that validates, until the deadline. A session that does not is retired, and the wait starts anew. */
const acquire = <E>(
  request: Request<E> & { readonly identity: PoolIdentity; readonly deadline: number; readonly restore: Restore }
): Effect.Effect<PooledSession, Failure | E> =>
  Effect.suspend(() => {
    const { deadline, identity, pool, restore } = request
    const { validateMillis } = pool.options
    const waiter: { pooled: PooledSession | undefined } = { pooled: undefined }
    const isValid = Effect.flatMap(pool.wait(waiter, identity), () =>
      waiter.pooled === undefined
        ? Effect.never
        : validate({ pooled: waiter.pooled, validateMillis, now: pool.now() }))
    const duration = Math.max(0, deadline - pool.now())
    return restore(Effect.timeoutOrElse(isValid, { duration, orElse: () => timeOut(request) })).pipe(
      Effect.onExit((exit) => {
        if (waiter.pooled === undefined || Exit.isSuccess(exit)) return Effect.void
        // A session whose validation took longer than its caller could wait.
        if (!Exit.hasInterrupts(exit)) waiter.pooled.isRetired = true
        return pool.release(waiter.pooled, false)
      }),
      Effect.flatMap((valid) => {
        const { pooled } = waiter
        if (pooled === undefined) return Effect.die("a waiter was resumed without a session")
        if (valid) return Effect.succeed(pooled)
        pooled.isRetired = true
        return Effect.andThen(pool.release(pooled, false), acquire(request))
      })
    )
  })

const timeOut = <E>({ owner, pool, timedOut }: Request<E>): Effect.Effect<never, E> =>
  Effect.flatMap(pool.latestFailure.of({ health: pool.port.health, owner }), (lastError) => {
    const { acquireMillis, server } = pool.options
    const { max: _, ...counts } = pool.stats()
    pool.port.telemetry.count("poolTimeouts")
    return Effect.fail(
      timedOut({ server, owner, timeout: acquireMillis, ...counts, ...(lastError === undefined ? {} : { lastError }) })
    )
  })
