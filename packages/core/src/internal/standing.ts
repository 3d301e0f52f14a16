/**
 * Whether a server is in its place, or passed over until it has shown that it is well.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { FallbackPolicy } from "../Fallback.ts"
import { maxErrors } from "../Health.ts"
import type { RetryPolicy } from "../RetryPolicy.ts"
import type { SessionError } from "../SessionError.ts"
import { after } from "./healing.ts"

export interface Standing {
  readonly isOut: () => boolean
  /** Notes a failure that was moved on from, and says whether there were so many of late that it should be passed over. */
  readonly hasFailed: (now: number) => boolean
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

  const recover = (probe: Effect.Effect<void, SessionError>) =>
    Effect.gen(function*() {
      const wanted = goodProbes * 2 ** relapses
      for (let good = 0; good < wanted;) {
        yield* Effect.sleep(probeInterval)
        const probed = yield* Effect.result(probe)
        if (Result.isSuccess(probed)) {
          good++
          continue
        }
        const again = after({ first: probed.failure, effect: probe })
        // A policy that gives up does not give the server up.
        good = Result.isSuccess(yield* Effect.result(Effect.retry(again, reconnect))) ? 1 : 0
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
    hasFailed: (now) => {
      failures = [...failures.filter((at) => now - at < failureWindow), now]
      return failures.length > maxErrors
    },
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
