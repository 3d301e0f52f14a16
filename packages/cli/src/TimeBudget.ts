/**
 * A time limit that stands still while a user is asked.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

/**
 * A time limit, from its making on.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimeBudget {
  readonly limit: Duration.Duration
  /** The time that is left, at least 1 ms. */
  readonly left: Effect.Effect<Duration.Duration>
  /** Completes when no time is left. */
  readonly spent: Effect.Effect<void>
  /** Whether the time stands still. */
  readonly isPaused: () => boolean
  /** Runs an effect whose time does not count. */
  readonly pause: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * Starts a time limit.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (limit: Duration.Duration): Effect.Effect<TimeBudget> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const running = Latch.makeUnsafe(true)
    const startedAt = now()
    let pauses = 0
    let pausedAt = 0
    let paused = 0
    const leftMillis = () => Duration.toMillis(limit) - ((pauses > 0 ? pausedAt : now()) - startedAt - paused)
    const begin = Effect.sync(() => {
      if (pauses++ > 0) return
      pausedAt = now()
      running.closeUnsafe()
    })
    const end = Effect.sync(() => {
      if (--pauses > 0) return
      paused += now() - pausedAt
      running.openUnsafe()
    })
    const spent: Effect.Effect<void> = Effect.suspend(() => {
      const millis = leftMillis()
      return millis <= 0 && pauses === 0
        ? Effect.void
        : Effect.andThen(Effect.sleep(Math.max(millis, 1)), Effect.andThen(running.await, spent))
    })
    return {
      limit,
      left: Effect.sync(() => Duration.millis(Math.max(leftMillis(), 1))),
      spent,
      isPaused: () => pauses > 0,
      pause: (effect) => Effect.acquireUseRelease(begin, () => effect, () => end)
    }
  })
