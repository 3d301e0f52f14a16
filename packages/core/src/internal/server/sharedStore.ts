/**
 * A store outside this process, with one in memory in its place while it cannot be used: a store that is away must cost calls little, and
 * must not lift the limits that it holds.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as monotonic from "../monotonic.ts"

/** How long an operation of a store may take. */
const storeTimeout = "500 millis"

/** The time from a failure of the store to the next probe, in milliseconds. */
const pause = 1000

/** What a shared store holds, and how its failures differ from its answers. */
export interface StoreOptions<E> {
  /** What the store holds, for the log: `the rates of servers`. */
  readonly subject: string
  /** Whether an error means that the store failed. Other errors are answers, such as a refusal. */
  readonly isFailure: (error: E) => boolean
  /** The scope of the probes. */
  readonly scope: Scope.Scope
}

/**
 * Runs operations of one store. An operation that begins while the store is in use waits for it, for 500 ms at most. After a failure, no
 * operation waits until the store has answered a probe. Probes run in the background, one at a time, and a second after the latest failure.
 */
export class SharedStore<E extends Error> {
  readonly #options: StoreOptions<E>
  /** When the next probe may begin. `undefined` while the store is in use, `Infinity` while a probe runs. */
  #probeAt: number | undefined
  #outages = 0

  constructor(options: StoreOptions<E>) {
    this.#options = options
  }

  /** Whether the store cannot be used. */
  get isAway(): boolean {
    return this.#probeAt !== undefined
  }

  /** The number of outages that have begun. */
  get outages(): number {
    return this.#outages
  }

  /**
   * Runs an operation of the store. Succeeds with nothing while the store cannot be used. If a probe is due, `probe` runs in the background,
   * which is the operation itself unless its result has to be released.
   */
  attempt<A, R, R2 = R>(
    operation: Effect.Effect<A, E, R>,
    probe?: Effect.Effect<unknown, E, R2>
  ): Effect.Effect<Option.Option<A>, E, R | R2> {
    return Effect.flatMap(monotonic.now, (now): Effect.Effect<Option.Option<A>, E, R | R2> => {
      if (this.#probeAt === undefined) return this.#run(operation)
      if (now < this.#probeAt) return Effect.succeedNone
      this.#probeAt = Number.POSITIVE_INFINITY
      return Effect.as(this.#probe<R | R2>(probe ?? operation), Option.none())
    })
  }

  /** Runs an operation of the store, or while it cannot be used, the one in memory. `probe` is the one of `attempt`. */
  orLocal<A, R, R2, R3 = R>(
    operation: Effect.Effect<A, E, R>,
    local: Effect.Effect<A, E, R2>,
    probe?: Effect.Effect<unknown, E, R3>
  ): Effect.Effect<A, E, R | R2 | R3> {
    return Effect.flatMap(
      this.attempt(operation, probe),
      (answer): Effect.Effect<A, E, R2> => Option.isSome(answer) ? Effect.succeed(answer.value) : local
    )
  }

  #run<A, R>(operation: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> {
    const { isFailure } = this.#options
    const bounded = Effect.timeoutOrElse(Effect.asSome(operation), {
      duration: storeTimeout,
      orElse: () => this.#leave(`no answer within ${storeTimeout}`)
    })
    return Effect.matchEffect(bounded, {
      onSuccess: (answer) => Effect.as(Option.isSome(answer) ? this.#isBack : Effect.void, answer),
      onFailure: (error) =>
        isFailure(error) ? this.#leave(error.message) : Effect.andThen(this.#isBack, Effect.fail(error))
    })
  }

  #probe<R>(probe: Effect.Effect<unknown, E, R>): Effect.Effect<unknown, never, R> {
    const probed = Effect.catchCause(this.#run(probe), (cause) => {
      // An answer, such as a refusal.
      if (!this.isAway) return Effect.void
      // A defect of the store must not end the probes.
      const failed = Effect.logError(`the probe of the store failed that holds ${this.#options.subject}`, cause)
      return Effect.andThen(failed, this.#leave("the probe failed"))
    })
    return Effect.forkIn(probed, this.#options.scope, { startImmediately: true })
  }

  #leave(reason: string): Effect.Effect<Option.Option<never>> {
    return Effect.flatMap(monotonic.now, (now) => {
      const wasAway = this.isAway
      this.#probeAt = now + pause
      if (wasAway) return Effect.succeedNone
      this.#outages++
      const { subject } = this.#options
      return Effect.as(
        Effect.logWarning(`${subject} hold for this process alone, because their store cannot be used: ${reason}`),
        Option.none()
      )
    })
  }

  get #isBack(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.isAway) return Effect.void
      this.#probeAt = undefined
      return Effect.logInfo(`${this.#options.subject} are shared again`)
    })
  }
}
