/**
 * Whether a server is in its place, or passed over until it has shown that it is well.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { FallbackPolicy } from "../../Fallback.ts"
import { maxErrors } from "../../Health.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { SessionError } from "../../SessionError.ts"
import { afterFailure } from "../connection/reconnect.ts"

/** A failure that was moved on from, of an operation for an owner. */
interface Failed {
  readonly error: SessionError
  readonly owner: string
}

export interface Standing {
  readonly isOut: () => boolean
  /** Notes a failure that was moved on from, and says whether there were so many of late that it should be passed over. */
  readonly hasFailed: (failure: Failed & { readonly now: number }) => boolean
  /** The latest of these. */
  readonly last: () => Failed | undefined
  /**
   * Looks after it where a caller has given up waiting: that it gives no sign of life is a failure like others. Nothing is closed
   * for it, as it may be at work.
   */
  readonly doubt: (options: {
    readonly ask: Effect.Effect<void, SessionError>
    readonly probe: Effect.Effect<void, SessionError>
    readonly owner: string
    readonly silent: SessionError
  }) => Effect.Effect<void>
  /** Passes it over from now on. `probe` asks it for a sign of life. */
  readonly leave: (probe: Effect.Effect<void, SessionError>) => Effect.Effect<void>
  /** Puts it back into its place. */
  readonly enter: Effect.Effect<void>
  /** When it was last tried though it was not fit, in milliseconds since the epoch. */
  panickedAt: number
}

/** Over how long failures are counted that are not in a row, in milliseconds. */
const failureWindow = 60_000

/** Who is passed over again so soon after its return has to show more, in milliseconds. */
const relapseWindow = 300_000

/** How long it may take for a sign of life when it is doubted, in milliseconds. */
export const patience = 2000

/** How often what it has to show is doubled. */
const maxRelapses = 4

/** Makes what keeps the standing of a server, until the scope ends. */
export const make = (options: {
  readonly policy: FallbackPolicy
  readonly reconnect: RetryPolicy
  readonly scope: Scope.Scope
  readonly context: Context.Context<never>
}): Standing => {
  const { context, policy: { goodProbes, probeInterval }, reconnect, scope } = options
  let prober: Fiber.Fiber<void> | undefined
  let failures: ReadonlyArray<number> = []
  let enteredAt = Number.NEGATIVE_INFINITY
  let relapses = 0
  let isDoubted = false
  let last: Failed | undefined

  const recover = (probe: Effect.Effect<void, SessionError>) =>
    Effect.gen(function*() {
      const wanted = goodProbes * 2 ** relapses
      for (let good = 0; good < wanted;) {
        yield* Effect.sleep(probeInterval)
        const probed = yield* Effect.exit(probe)
        if (Exit.isSuccess(probed)) {
          good++
          continue
        }
        const again = afterFailure(Option.getOrUndefined(Exit.findErrorOption(probed)), probe)
        // A policy that gives up does not give the server up, nor does a defect.
        good = Exit.isSuccess(yield* Effect.exit(Effect.retry(again, reconnect))) ? 1 : 0
      }
    })

  const entered = Effect.map(Clock.currentTimeMillis, (now) => {
    prober = undefined
    failures = []
    enteredAt = now
  })

  const standing: Standing = {
    panickedAt: Number.NEGATIVE_INFINITY,
    isOut: () => prober !== undefined,
    last: () => last,
    hasFailed: ({ error, now, owner }) => {
      last = { error, owner }
      // What keeps one owner out, or has one session wait, says nothing of the server.
      if (error.reason.health !== "failed" && error.reason._tag !== "ServerDown") return false
      failures = [...failures.filter((at) => now - at < failureWindow), now]
      return failures.length > maxErrors
    },
    doubt: ({ ask, owner, probe, silent }) =>
      Effect.suspend(() => {
        if (isDoubted || prober !== undefined) return Effect.void
        isDoubted = true
        return Effect.gen(function*() {
          const exit = yield* Effect.exit(
            Effect.timeoutOrElse(ask, { duration: patience, orElse: () => Effect.fail(silent) })
          )
          isDoubted = false
          const error = Option.getOrUndefined(Exit.findErrorOption(exit))
          const now = yield* Clock.currentTimeMillis
          if (error !== undefined && standing.hasFailed({ error, owner, now })) yield* standing.leave(probe)
        }).pipe(
          Effect.updateContext((_: Context.Context<never>) => context),
          Effect.forkIn(scope),
          Effect.asVoid
        )
      }),
    leave: (probe) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (prober !== undefined) return Effect.void
        relapses = now - enteredAt < relapseWindow ? Math.min(relapses + 1, maxRelapses) : 0
        return recover(probe).pipe(
          Effect.andThen(entered),
          Effect.updateContext((_: Context.Context<never>) => context),
          Effect.forkIn(scope),
          Effect.map((fiber) => {
            prober = fiber
          })
        )
      }).pipe(Effect.uninterruptible),
    enter: Effect.suspend(() => {
      const ended = prober
      return ended === undefined ? Effect.void : Effect.andThen(entered, Fiber.interrupt(ended))
    })
  }
  return standing
}
