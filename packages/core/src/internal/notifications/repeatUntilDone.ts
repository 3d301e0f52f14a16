/**
 * Backoff of work that repeats until it is done: pauses that grow while the work keeps failing early.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as monotonic from "../monotonic.ts"

/** Pauses in milliseconds. Each is up to a half shorter at random. */
const pauses = { first: 1000, factor: 1.6, longest: 120_000 }

/** How long a run has to last for the pauses to start over, in milliseconds. */
const stableAfter = 60_000

/** The longest pause after a number of failures in a row, in milliseconds. */
const pauseAfter = (failures: number): number =>
  Math.min(pauses.first * pauses.factor ** Math.max(0, failures - 1), pauses.longest)

/** Repeats an effect until it succeeds with `true`, with pauses that `wake` cuts short. */
export const repeatUntilDone = <E, R>({ effect, wake }: {
  readonly effect: Effect.Effect<boolean, E, R>
  readonly wake: Effect.Effect<unknown>
}): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    let failures = 0
    while (true) {
      const startedAt = yield* monotonic.now
      if (yield* effect) return
      failures = (yield* monotonic.now) - startedAt >= stableAfter ? 0 : failures + 1
      const pause = Effect.sleep(pauseAfter(failures) * (yield* Random.nextBetween(0.5, 1)))
      yield* Effect.raceFirst(pause, wake)
    }
  })
