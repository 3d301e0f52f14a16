/**
 * Reconnects without a caller: keeps the connections open that `openAll` has opened. The default policy is
 * `RetryPolicy.reconnectDefault`.
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { Reason, SessionError } from "../../SessionError.ts"
import type { CircuitBreaker } from "../server/circuitBreaker.ts"

/** The time over which clients that lost their connections together spread their reconnects, in milliseconds. */
const herdSpread = 1000

/** Failures that another attempt does not change. */
const isFinal = (reason: Reason): boolean => reason._tag === "SessionClosed" || reason._tag === "AuthRequired"

/** An effect to retry after an attempt that already failed with `first`, which then counts as the first attempt. */
export const afterFailure = <A>({ effect, first }: {
  readonly first: SessionError | undefined
  readonly effect: Effect.Effect<A, SessionError>
}): Effect.Effect<A, SessionError> => {
  let pending = first
  return Effect.suspend(() => {
    const error = pending
    pending = undefined
    return error === undefined ? effect : Effect.fail(error)
  })
}

/** A policy whose pauses end when the circuit opens: the next attempt is refused, and with it the callers that wait for it. */
export const untilRefused = ({ breaker, policy }: {
  readonly policy: RetryPolicy
  readonly breaker: CircuitBreaker
}): RetryPolicy => {
  const opened = Effect.callback<void>((resume) => {
    const remove = breaker.onOpen(() => resume(Effect.void))
    return Effect.sync(remove)
  })
  return Schedule.fromStep(Effect.map(
    Schedule.toStep(policy),
    (step) => (now: number, error: SessionError) =>
      Effect.flatMap(step(now, error), ([output, pause]) => {
        const paused = Effect.timeoutOrElse(opened, { duration: pause, orElse: () => Effect.void })
        return Effect.as(paused, [output, Duration.zero] as [unknown, Duration.Duration])
      })
  ))
}

export class Reconnect {
  readonly #options: ReconnectOptions
  #holders = 0
  #fiber: Fiber.Fiber<never> | undefined
  #restarted = Deferred.makeUnsafe<void>()

  constructor(options: ReconnectOptions) {
    this.#options = options
  }

  /** Keeps a connection open for as long as the scope. */
  get keepAlive(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(this.#hold, () => this.#unhold)
  }

  /** Starts a new round of attempts where the last one ended because the server requires authorization. */
  get restarted(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const waiting = this.#restarted
      this.#restarted = Deferred.makeUnsafe()
      return Deferred.succeed(waiting, undefined)
    })
  }

  get #hold(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#holders++ > 0) return Effect.void
      const { context, scope } = this.#options
      return this.#loop.pipe(
        Effect.updateContext((_: Context.Context<never>) => context),
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.map((fiber) => {
          this.#fiber = fiber
        })
      )
    })
  }

  get #unhold(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (--this.#holders > 0 || this.#fiber === undefined) return Effect.void
      const idle = this.#fiber
      this.#fiber = undefined
      return Fiber.interrupt(idle)
    })
  }

  get #loop(): Effect.Effect<never> {
    return Effect.gen({ self: this }, function*() {
      const { acquireOnce, current, lastFailure, policy } = this.#options
      while (true) {
        const live = current()
        if (live !== undefined) {
          yield* Deferred.await(live.retired)
          // All clients of a server that was restarted lose their connections together.
          yield* Effect.sleep(Duration.millis(yield* Random.nextBetween(0, herdSpread)))
        }
        yield* afterFailure({ first: lastFailure(), effect: acquireOnce }).pipe(
          Effect.retry({ schedule: policy, while: ({ reason }) => !isFinal(reason) }),
          Effect.catch(({ reason }) => reason._tag === "SessionClosed" ? Effect.never : Deferred.await(this.#restarted))
        )
      }
    })
  }
}

interface ReconnectOptions {
  /** The connection if there is one. */
  readonly current: () => { readonly retired: Deferred.Deferred<void> } | undefined
  /** The failure of the latest attempts, if they failed. */
  readonly lastFailure: () => SessionError | undefined
  readonly acquireOnce: Effect.Effect<unknown, SessionError>
  readonly policy: RetryPolicy
  readonly scope: Scope.Scope
  readonly context: Context.Context<never>
}
