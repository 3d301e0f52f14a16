/**
 * Sees to it that there is a connection whenever there can be one, for as long as someone wants that.
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { Reason, SessionError } from "../../SessionError.ts"

export interface Healing {
  /** Heals for as long as the scope is open. */
  readonly keepAlive: Effect.Effect<void, never, Scope.Scope>
  /** Lets it try again that waits for credentials. */
  readonly restarted: Effect.Effect<void>
}

/** Over how long the clients of a server that was restarted spread, in milliseconds. */
const herdMillis = 1000

/** What trying again does not change. */
const isFinal = (reason: Reason): boolean => reason._tag === "SessionClosed" || reason._tag === "AuthRequired"

/** What is to be tried again after a try that is over, if there was one: that counts as its first. */
export const after = <A>(options: {
  readonly first: SessionError | undefined
  readonly effect: Effect.Effect<A, SessionError>
}): Effect.Effect<A, SessionError> => {
  let ended = options.first
  return Effect.suspend(() => {
    const before = ended
    ended = undefined
    return before === undefined ? options.effect : Effect.fail(before)
  })
}

/** Makes what heals a managed, which ends with the scope. */
export const make = Effect.fnUntraced(function*(options: {
  /** The connection if there is one. */
  readonly current: () => { readonly retired: Deferred.Deferred<void> } | undefined
  /** How the latest tries ended, if they did not bring a connection. */
  readonly failure: () => SessionError | undefined
  readonly acquireOnce: Effect.Effect<unknown, SessionError>
  readonly reconnect: RetryPolicy
}): Effect.fn.Return<Healing, never, Scope.Scope> {
  const { acquireOnce, current, failure, reconnect } = options
  const scope = yield* Effect.scope
  const context = yield* Effect.context<never>()
  let keepers = 0
  let healer: Fiber.Fiber<never> | undefined
  let restarted = Deferred.makeUnsafe<void>()

  /** Makes a connection whenever there is none and can be one. Where credentials are wanted, waits for a restart. */
  const heal = Effect.gen(function*() {
    while (true) {
      const connection = current()
      if (connection !== undefined) {
        yield* Deferred.await(connection.retired)
        // All who had a connection to a server that was restarted lose it at the same time.
        yield* Effect.sleep(Duration.millis(yield* Random.nextBetween(0, herdMillis)))
      }
      yield* after({ first: failure(), effect: acquireOnce }).pipe(
        Effect.retry({ schedule: reconnect, while: ({ reason }) => !isFinal(reason) }),
        Effect.catch(({ reason }) => reason._tag === "SessionClosed" ? Effect.never : Deferred.await(restarted))
      )
    }
  })

  return {
    keepAlive: Effect.acquireRelease(
      Effect.suspend(() => {
        if (keepers++ > 0) return Effect.void
        return heal.pipe(
          Effect.updateContext((_: Context.Context<never>) => context),
          Effect.forkIn(scope, { startImmediately: true }),
          Effect.map((fiber) => {
            healer = fiber
          })
        )
      }),
      () =>
        Effect.suspend(() => {
          if (--keepers > 0 || healer === undefined) return Effect.void
          const idle = healer
          healer = undefined
          return Fiber.interrupt(idle)
        })
    ),
    restarted: Effect.suspend(() => {
      const waiting = restarted
      restarted = Deferred.makeUnsafe()
      return Deferred.succeed(waiting, undefined)
    })
  }
})
