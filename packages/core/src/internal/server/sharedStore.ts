/**
 * A store outside this process, with one in memory in its place while it cannot be used: a store that is away must cost calls little, and
 * must not lift the limits that it holds.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as monotonic from "../monotonic.ts"

/** How long an operation of a store may take. */
const storeTimeout = "500 millis"

/** For how long a store is not asked after it failed or took too long, in milliseconds. */
const pause = 1000

/** How errors of a store are told from its answers. */
export interface StoreErrors<E> {
  /** What the store holds, for the log: `the rates of servers`. */
  readonly subject: string
  /** Whether an error says that the store failed. Others are answers, such as a refusal. */
  readonly isFailure: (error: E) => boolean
}

/** Runs operations of one store. After a failure none is run for a second, so of many calls one waits. */
export class SharedStore<E extends Error> {
  readonly #errors: StoreErrors<E>
  #awayUntil = Number.NEGATIVE_INFINITY
  #isAway = false

  constructor(errors: StoreErrors<E>) {
    this.#errors = errors
  }

  /** Runs an operation of the store. Succeeds with nothing while the store cannot be used. */
  attempt<A, R>(operation: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> {
    const { isFailure } = this.#errors
    const bounded = Effect.timeoutOrElse(Effect.asSome(operation), {
      duration: storeTimeout,
      orElse: () => this.#leave(`no answer within ${storeTimeout}`)
    })
    const handled = Effect.matchEffect(bounded, {
      onSuccess: (answer) => Effect.as(Option.isSome(answer) ? this.#isBack : Effect.void, answer),
      onFailure: (error) =>
        isFailure(error) ? this.#leave(error.message) : Effect.andThen(this.#isBack, Effect.fail(error))
    })
    return Effect.flatMap(monotonic.now, (now) => now < this.#awayUntil ? Effect.succeedNone : handled)
  }

  /** Runs an operation of the store, or while it cannot be used, the one in memory. */
  orLocal<A, R, R2>(operation: Effect.Effect<A, E, R>, local: Effect.Effect<A, E, R2>): Effect.Effect<A, E, R | R2> {
    return Effect.flatMap(
      this.attempt(operation),
      (answer): Effect.Effect<A, E, R2> => Option.isSome(answer) ? Effect.succeed(answer.value) : local
    )
  }

  #leave(reason: string): Effect.Effect<Option.Option<never>> {
    return Effect.flatMap(monotonic.now, (now) => {
      this.#awayUntil = now + pause
      if (this.#isAway) return Effect.succeedNone
      this.#isAway = true
      const { subject } = this.#errors
      return Effect.as(
        Effect.logWarning(`${subject} hold for this process alone, because their store cannot be used: ${reason}`),
        Option.none()
      )
    })
  }

  get #isBack(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.#isAway) return Effect.void
      this.#isAway = false
      return Effect.logInfo(`${this.#errors.subject} are shared again`)
    })
  }
}
