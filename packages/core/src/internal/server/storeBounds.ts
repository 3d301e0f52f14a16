/**
 * Bounds of a store outside this process: a store that does not respond must cost calls little.
 */
import * as Effect from "effect/Effect"
import * as monotonic from "../monotonic.ts"

/** How long an operation of a store may take. */
const storeTimeout = "500 millis"

/** For how long a store is not asked after an operation that took too long, in milliseconds. */
const pause = 1000

/** An operation of a store that fails with the error of that store. */
export type OnStore<E> = <A, R>(operation: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Makes a bound for the operations of one store. After an operation that took longer, all fail at once for a second, so of many calls one
 * waits.
 */
export const boundStore = <E>(failure: (message: string) => E): OnStore<E> => {
  let awayUntil = Number.NEGATIVE_INFINITY
  const fail = Effect.suspend(() => Effect.fail(failure(`the store did not respond within ${storeTimeout}`)))
  const leave = Effect.flatMap(monotonic.now, (now) => {
    awayUntil = now + pause
    return fail
  })
  return (operation) =>
    Effect.flatMap(
      monotonic.now,
      (now) => now < awayUntil ? fail : Effect.timeoutOrElse(operation, { duration: storeTimeout, orElse: () => leave })
    )
}
