/**
 * Start gate: limits how many processes start at the same time, where many servers are opened at once.
 *
 * A process takes a place when it is started, and leaves it when it writes its first byte or ends. A process that stays silent leaves it after a
 * while: it must not keep others from starting.
 */
import * as Effect from "effect/Effect"
import type { Timer, Timers } from "../timers.ts"

/** How many processes may be starting. */
const places = 4

/** How long a start takes a place at most, in milliseconds. */
const startTimeout = 150

/** The passage of one connect attempt. */
export interface Passage {
  /** Waits for a place. Succeeds with the function that leaves it. */
  readonly enter: Effect.Effect<() => void>
  /** How long the attempt has waited for places, in milliseconds. */
  readonly waited: () => number
}

export class StartGate {
  readonly #timers: Timers
  readonly #waiting = new Set<() => void>()
  #free = places

  constructor(timers: Timers) {
    this.#timers = timers
  }

  pass(): Passage {
    let waited = 0
    let since: number | undefined
    const stop = () => {
      if (since !== undefined) waited += this.#timers.now() - since
      since = undefined
    }
    return {
      enter: Effect.callback((resume) => {
        if (this.#free > 0) return resume(Effect.succeed(this.#take()))
        since = this.#timers.now()
        const admit = () => {
          stop()
          resume(Effect.succeed(this.#take()))
        }
        this.#waiting.add(admit)
        return Effect.sync(() => {
          stop()
          this.#waiting.delete(admit)
        })
      }),
      waited: () => since === undefined ? waited : waited + this.#timers.now() - since
    }
  }

  /** Takes a free place. Returns the function that leaves it, which may be called several times. */
  #take(): () => void {
    this.#free--
    const leave = () => {
      if (hasLeft) return
      hasLeft = true
      this.#timers.clear(timer)
      this.#free++
      const [next] = this.#waiting
      if (next === undefined) return
      this.#waiting.delete(next)
      next()
    }
    let hasLeft = false
    const timer: Timer = { timerIndex: -1, dueAt: this.#timers.now() + startTimeout, fire: leave }
    this.#timers.set(timer)
    return leave
  }
}
