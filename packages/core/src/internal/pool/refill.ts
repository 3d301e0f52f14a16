/**
 * Refill of a pool: keeps `min` sessions open for the owner of the pool, at the pace of reconnects.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { reconnectDefault } from "../../RetryPolicy.ts"
import type { SessionError } from "../../SessionError.ts"
import type { PoolIdentity } from "./allocation.ts"
import type { Failure } from "./poolPort.ts"

/** A session that is lost earlier than this delays the next one, in milliseconds. */
const stableAfter = 60_000

/** The delay after the first session that did not last. Each further one in a row multiplies it by 1.6, up to 2 minutes. */
const firstDelay = 1000
const maxDelay = 120_000

/** The delay before the next session, after a number of sessions in a row that were lost early. */
export const refillDelay = (shortLived: number): number =>
  shortLived === 0 ? 0 : Math.min(firstDelay * 1.6 ** (shortLived - 1), maxDelay)

/** Whether fewer sessions than `min` are open, or being opened, for the owner of the pool. */
export const isShort = (options: {
  readonly owner: string
  readonly min: number
  readonly sessions: Iterable<{ readonly identity: PoolIdentity }>
  readonly opening: Iterable<PoolIdentity>
}): boolean => {
  const { min, opening, owner, sessions } = options
  let own = 0
  for (const { identity } of sessions) if (identity.owner === owner) own++
  for (const identity of opening) if (identity.owner === owner) own++
  return own < min
}

/** What a refill needs from its pool. */
interface RefillOptions {
  readonly isShort: () => boolean
  readonly open: Effect.Effect<void, Failure>
  /** Turns the end of a failed attempt into an error that the reconnect policy understands. */
  readonly onFailure: (cause: Cause.Cause<Failure>) => Effect.Effect<never, SessionError>
  readonly start: (effect: Effect.Effect<void>) => void
  readonly onDone: () => void
}

/** Opens one session at a time while the pool has too few. */
export class Refill {
  readonly #options: RefillOptions
  #isRunning = false
  /** Sessions in a row that were lost early. */
  #shortLived = 0

  constructor(options: RefillOptions) {
    this.#options = options
  }

  /** Records the loss of a session, and for how long it had been open. */
  recordLoss(age: number): void {
    this.#shortLived = age < stableAfter ? this.#shortLived + 1 : 0
  }

  /** Opens a session if the pool has too few, and retries until it is open. */
  run(): void {
    const { isShort, onDone, onFailure, open, start } = this.#options
    if (this.#isRunning || !isShort()) return
    this.#isRunning = true
    start(open.pipe(
      Effect.catchCause(onFailure),
      Effect.retry(reconnectDefault),
      Effect.delay(refillDelay(this.#shortLived)),
      Effect.exit,
      Effect.map(() => {
        this.#isRunning = false
        onDone()
      })
    ))
  }
}
