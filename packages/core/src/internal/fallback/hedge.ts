/**
 * Hedging: a slow attempt is joined by a second one, the first useful result wins, and the other attempt is cancelled.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

type Entrant = "first" | "second"

/** Starts one attempt. The attempt runs `commit` before the first thing it does that must happen once. */
export type Start<A, R> = (commit: Effect.Effect<void>) => Effect.Effect<A, never, R>

/** The results of the attempts; `undefined` for one that was not started, was cancelled, or lost the race. */
export interface Hedged<A> {
  readonly first: A | undefined
  readonly second: A | undefined
}

/** The attempts of one operation. The first to commit continues alone. */
class Race {
  readonly #entrants = new Map<Entrant, Fiber.Fiber<unknown, unknown>>()
  #winner: Entrant | undefined

  /** The attempt that continues alone, once one has committed. */
  get winner(): Entrant | undefined {
    return this.#winner
  }

  start<A, R>(entrant: Entrant, start: Start<A, R>): Effect.Effect<Fiber.Fiber<A>, never, R> {
    return Effect.tap(
      Effect.forkChild(start(this.#commit(entrant)), { startImmediately: true }),
      (fiber) => Effect.sync(() => this.#entrants.set(entrant, fiber))
    )
  }

  /** Cancels the other attempt, or this one if the other has committed first. Waits for neither: a loser cannot get this far. */
  #commit(entrant: Entrant): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#winner ??= entrant
      if (this.#winner !== entrant) return Effect.interrupt
      for (const [other, fiber] of this.#entrants) if (other !== entrant) fiber.interruptUnsafe()
      return Effect.void
    })
  }

  /** Waits for the result of an attempt. An attempt that lost the race has no result, whatever it ended with. */
  result<A>(entrant: Entrant, fiber: Fiber.Fiber<A>): Effect.Effect<readonly [Entrant, A | undefined]> {
    return Effect.map(Fiber.await(fiber), (exit) => {
      const hasLost = this.#winner !== undefined && this.#winner !== entrant
      return [entrant, Exit.isSuccess(exit) && !hasLost ? exit.value : undefined]
    })
  }

  /** Cancels all attempts, and waits for their end. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => Fiber.interruptAll(this.#entrants.values()))
  }
}

/**
 * Starts `first`, and `second` beside it if `first` takes longer than `hedgeAfter`. Ends with the first result that `isFinal`, or with
 * both results. `second` may decline by returning `undefined`. No attempt outlives the effect.
 */
export const hedge = <A, R>(options: {
  readonly hedgeAfter: Duration.Input
  readonly first: Start<A, R>
  readonly second: () => Start<A, R> | undefined
  readonly isFinal: (result: A) => boolean
}): Effect.Effect<Hedged<A>, never, R> =>
  Effect.suspend(() => {
    const race = new Race()
    const raced = Effect.gen(function*(): Effect.fn.Return<Hedged<A>, never, R> {
      const first = yield* race.start("first", options.first)
      const early = yield* Effect.timeoutOption(Fiber.await(first), options.hedgeAfter)
      const second = Option.isNone(early) && race.winner === undefined ? options.second() : undefined
      if (second === undefined) return { first: yield* Fiber.join(first), second: undefined }
      const rival = yield* race.start("second", second)
      const [earlier, result] = yield* Effect.raceFirst(race.result("first", first), race.result("second", rival))
      const isDone = result !== undefined && options.isFinal(result)
      if (earlier === "first") {
        return { first: result, second: isDone ? undefined : (yield* race.result("second", rival))[1] }
      }
      return { first: isDone ? undefined : (yield* race.result("first", first))[1], second: result }
    })
    return Effect.ensuring(raced, race.end)
  })
