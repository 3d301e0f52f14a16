/**
 * Database probe: whether the database of the cluster answers, asked once for all requests that want to know.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Fork } from "../scopedFork.ts"

/** How long an answer holds, in milliseconds, and so the pause between two probes while requests wait. */
const freshness = 100

export class DatabaseProbe {
  readonly #isReachable: Effect.Effect<boolean>
  readonly #fork: Fork
  readonly #now: () => number
  #running: Deferred.Deferred<boolean> | undefined
  #latest: { readonly isAway: boolean; readonly at: number } | undefined

  constructor({ fork, isReachable, now }: {
    /** Whether the database answers. */
    readonly isReachable: Effect.Effect<boolean>
    readonly fork: Fork
    /** Monotonic time in milliseconds. */
    readonly now: () => number
  }) {
    this.#isReachable = isReachable
    this.#fork = fork
    this.#now = now
  }

  /** Whether the database does not answer, twice in a row. All callers of one time share a probe. */
  get isAway(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const latest = this.#latest
      if (latest !== undefined && this.#now() - latest.at < freshness) return Effect.succeed(latest.isAway)
      return Deferred.await(this.#running ?? this.#begin())
    })
  }

  /** Waits until the database does not answer. */
  get away(): Effect.Effect<void> {
    return Effect.repeat(this.isAway, { schedule: Schedule.spaced(freshness), until: (isAway) => isAway }).pipe(
      Effect.asVoid
    )
  }

  #begin(): Deferred.Deferred<boolean> {
    const probe = this.#running = Deferred.makeUnsafe<boolean>()
    const twice = Effect.flatMap(
      this.#isReachable,
      (isReachable) => isReachable ? Effect.succeed(false) : Effect.map(this.#isReachable, (again) => !again)
    )
    // The probe continues for the other waiters if the request that began it ends.
    this.#fork(twice).addObserver((exit) => {
      this.#running = undefined
      this.#latest = exit._tag === "Success" ? { isAway: exit.value, at: this.#now() } : undefined
      Deferred.doneUnsafe(probe, exit)
    })
    return probe
  }
}
