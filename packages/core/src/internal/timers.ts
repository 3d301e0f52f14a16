/**
 * Many timers on one sleeping fiber.
 *
 * `Effect.timeout` forks a fiber and sets a timer for each use, which costs more than a whole call. Here each timer is a plain object in
 * a list, and one fiber sleeps until the earliest of them is due. It sleeps by the `Clock`, so that tests can turn the time.
 *
 * The list is an array in which each timer knows its index. A `Set` allocates a new table each time that it has grown, and each
 * outgrown table refers to the next, which made minor garbage collections twenty times slower.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as monotonic from "./monotonic.ts"

/** Something that is due at a time. Its owner may move `dueAt` to a later time without telling. */
export interface Timer {
  /** The index in the list; -1 while the timer is not set. Written by {@link Timers} alone. */
  timerIndex: number
  /** In milliseconds of monotonic time. */
  dueAt: number
  /** Called once when the timer is due, after it was removed. */
  readonly fire: () => void
}

export class Timers {
  readonly #timers: Array<Timer> = []
  readonly #clock: Clock.Clock
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  #wakesAt = Number.POSITIVE_INFINITY
  #sleeper: Fiber.Fiber<void> | undefined

  constructor(clock: Clock.Clock, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#clock = clock
    this.#fork = fork
  }

  /** The monotonic time in milliseconds. */
  now(): number {
    return monotonic.nowOf(this.#clock)
  }

  /** The time of day of a monotonic time, for display. */
  toWall(at: number): number {
    return monotonic.toWall(this.#clock, at)
  }

  /** Sets a timer that is not set. */
  set(timer: Timer): void {
    timer.timerIndex = this.#timers.push(timer) - 1
    // A timer is usually due later than those set before it. The sleeper finds it when it wakes.
    if (timer.dueAt >= this.#wakesAt) return
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = this.#fork(this.#sleepUntilEmpty)
  }

  /** Removes a timer. Does nothing if it is not set. */
  clear(timer: Timer): void {
    const index = timer.timerIndex
    if (index < 0) return
    const last = this.#timers.pop()
    if (last !== undefined && last !== timer) {
      this.#timers[index] = last
      last.timerIndex = index
    }
    timer.timerIndex = -1
  }

  readonly #sleepUntilEmpty: Effect.Effect<void> = Effect.suspend(() => {
    this.#wakesAt = Number.POSITIVE_INFINITY
    for (const { dueAt } of this.#timers) if (dueAt < this.#wakesAt) this.#wakesAt = dueAt
    if (this.#wakesAt === Number.POSITIVE_INFINITY) return Effect.void
    return this.#clock.sleep(Duration.millis(Math.max(0, Math.ceil(this.#wakesAt - this.now())))).pipe(
      Effect.andThen(Effect.sync(() => this.#fireDue())),
      Effect.andThen(this.#sleepUntilEmpty)
    )
  })

  #fireDue(): void {
    const now = this.now()
    for (const timer of this.#timers.filter(({ dueAt }) => dueAt <= now)) {
      // One that fired before it may have cleared or moved it.
      if (timer.timerIndex < 0 || timer.dueAt > now) continue
      this.clear(timer)
      // One that throws must not stop the others.
      try {
        timer.fire()
      } catch (defect) {
        this.#fork(Effect.logError("a timer failed", Cause.die(defect)))
      }
    }
  }
}

/** Makes timers that never fire after the scope has closed. */
export const make: Effect.Effect<Timers, never, Scope.Scope> = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  return new Timers(clock, (effect) => Fiber.runIn(fork(effect), scope))
})
