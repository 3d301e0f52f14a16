/**
 * Sweeper of a pool: closes idle and expired sessions, and wakes the pool when the next one is due.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as monotonic from "../monotonic.ts"
import type { Allocatable } from "./allocation.ts"

interface Limits<S> {
  readonly sessions: Iterable<S>
  /** The owner of the pool, which keeps `min` sessions for it. */
  readonly owner: string
  readonly min: number
  readonly idleMillis: number
}

const ownCount = <S extends Allocatable>({ owner, sessions }: Limits<S>): number => {
  let count = 0
  for (const { identity } of sessions) if (identity.owner === owner) count++
  return count
}

/** When a session without a lease is to be closed, in milliseconds of monotonic time. */
const dueAt = (session: Allocatable, { idleMillis, min, owner }: Limits<never>, own: number): number => {
  const isSpare = own > min || session.identity.owner !== owner
  return isSpare ? Math.min(session.expiresAt, session.idleSince + idleMillis) : session.expiresAt
}

/** When the next session is to be closed, in milliseconds of monotonic time. */
export const nextDue = <S extends Allocatable>(limits: Limits<S>): number => {
  const own = ownCount(limits)
  let due = Number.POSITIVE_INFINITY
  for (const session of limits.sessions) {
    if (session.leases === 0) due = Math.min(due, dueAt(session, { ...limits, sessions: [] }, own))
  }
  return due
}

/** The sessions that are to be closed at `now`. Keeps `min` sessions of the owner of the pool. */
export const due = <S extends Allocatable>(limits: Limits<S> & { readonly now: number }): ReadonlyArray<S> => {
  let own = ownCount(limits)
  const found: Array<S> = []
  for (const session of limits.sessions) {
    if (session.leases > 0 || dueAt(session, { ...limits, sessions: [] }, own) > limits.now) continue
    if (session.identity.owner === limits.owner) own--
    found.push(session)
  }
  return found
}

/** What a sweeper needs from its pool. */
interface SweeperOptions {
  readonly clock: Clock.Clock
  readonly start: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly nextDue: () => number
  readonly sweep: Effect.Effect<void>
}

/** Runs `sweep` each time something is due. */
export class Sweeper {
  readonly #options: SweeperOptions
  #wakesAt = Number.POSITIVE_INFINITY
  #sleeper: Fiber.Fiber<void> | undefined

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  /** Makes sure that the sweeper wakes in time. It is left asleep when it wakes earlier anyway, which is the usual case. */
  arm(): void {
    if (this.#options.nextDue() >= this.#wakesAt) return
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = this.#options.start(this.#sleepAndSweep())
  }

  #sleepAndSweep(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { clock, nextDue, sweep } = this.#options
      this.#wakesAt = nextDue()
      if (this.#wakesAt === Number.POSITIVE_INFINITY) return Effect.void
      const wait = Duration.millis(Math.max(1, this.#wakesAt - monotonic.nowOf(clock)))
      return clock.sleep(wait).pipe(Effect.andThen(sweep), Effect.flatMap(() => this.#sleepAndSweep()))
    })
  }
}
