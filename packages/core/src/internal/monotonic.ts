/**
 * Monotonic time: the time of all deadlines, delays, windows and ages, in milliseconds. It only runs forward.
 *
 * The time of day does not: it is set back when a clock is corrected or a virtual machine is resumed. A deadline on it would be an hour late
 * when it is set back by an hour. Monotonic time counts from the time of day at which it was first read, so the two are alike until the time
 * of day is set. What is shown to users is converted with {@link toWall} when it is shown.
 *
 * Effect offers `currentTimeNanos` as well, which follows the time of day. Only `monotonicTimeNanos` does not.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

interface Performance {
  readonly timeOrigin: number
  readonly now: () => number
}

const { performance } = globalThis as { readonly performance?: Performance }

/** Read once: it is a getter that costs more than the time itself. */
const timeOrigin = performance?.timeOrigin ?? 0

/** The clock of programs that provide none. */
const liveClock = Context.get(Context.empty() as Context.Context<Clock.Clock>, Clock.Clock)

const nanosPerMilli = 1_000_000

const millisOf = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / nanosPerMilli

/** The time of day minus the monotonic time of each clock, as of its first use. */
const origins = new WeakMap<Clock.Clock, number>()

const originOf = (clock: Clock.Clock): number => {
  let origin = origins.get(clock)
  if (origin === undefined) {
    origin = clock.currentTimeMillisUnsafe() - millisOf(clock)
    origins.set(clock, origin)
  }
  return origin
}

/** The monotonic time of a clock. It is read for each request: reading the live clock allocates nothing. */
export const nowOf = (clock: Clock.Clock): number =>
  Math.floor(
    clock === liveClock && performance !== undefined
      ? timeOrigin + performance.now()
      : originOf(clock) + millisOf(clock)
  )

/** The monotonic time. */
export const now: Effect.Effect<number> = Effect.clockWith((clock) => Effect.sync(() => nowOf(clock)))

/** The time of day of a monotonic time, in milliseconds since the epoch, as the time of day is set now. For display only. */
export const toWall = (clock: Clock.Clock, at: number): number => clock.currentTimeMillisUnsafe() + at - nowOf(clock)

/** The time of day of a monotonic time. For display only. */
export const wallTimeOf = (at: number): Effect.Effect<number> =>
  Effect.clockWith((clock) => Effect.sync(() => toWall(clock, at)))

/** The time of day. For display only, and for times of day that servers name. */
export const wallTime: Effect.Effect<number> = Clock.currentTimeMillis

/** A clock whose time of day is the monotonic time: for parts of Effect that compute with the time of day. */
class MonotonicClock implements Clock.Clock {
  readonly #clock: Clock.Clock
  readonly currentTimeMillis: Effect.Effect<number>
  readonly currentTimeNanos: Effect.Effect<bigint>
  readonly monotonicTimeNanos: Effect.Effect<bigint>

  constructor(clock: Clock.Clock) {
    this.#clock = clock
    this.currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
    this.currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
    this.monotonicTimeNanos = clock.monotonicTimeNanos
  }

  currentTimeMillisUnsafe(): number {
    return nowOf(this.#clock)
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(nowOf(this.#clock)) * BigInt(nanosPerMilli)
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return this.#clock.sleep(duration)
  }
}

/** Runs an effect of which all times are monotonic. */
export const withMonotonicClock = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.clockWith((clock) =>
    clock instanceof MonotonicClock
      ? effect
      : Effect.updateService(effect, Clock.Clock, () => new MonotonicClock(clock))
  )

/** A schedule that measures elapsed time by the monotonic time. `Effect.retry` gives it the time of day. */
export const byMonotonicTime = <Output, Input, Error, Env>(
  schedule: Schedule.Schedule<Output, Input, Error, Env>
): Schedule.Schedule<Output, Input, Error, Env> =>
  Schedule.fromStep(
    Effect.map(
      Schedule.toStep(schedule),
      (step) => (_timeOfDay: number, input: Input) => Effect.flatMap(now, (at) => step(at, input))
    )
  )
