/**
 * Lets a handler work on the reports of an operation while that is under way: one at a time, in their order.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Progress } from "../../Mcp.ts"

/** A report tells where things stand, so for a handler that falls behind the latest ones are worth more. */
const capacity = 64

/**
 * Runs an operation that reports. It ends when the operation has ended and the handler is done with what was reported;
 * interruption ends both at once.
 */
export const handled = <A, E>({ handle, operation }: {
  readonly handle: ((progress: Progress) => Effect.Effect<void> | void) | undefined
  readonly operation: (report: ((progress: Progress) => void) | undefined) => Effect.Effect<A, E>
}): Effect.Effect<A, E> =>
  handle === undefined ? operation(undefined) : Effect.gen(function*() {
    const reports = yield* Queue.sliding<Progress, Cause.Done>(capacity)
    const handling = yield* Stream.fromQueue(reports).pipe(
      Stream.runForEach((progress) =>
        Effect.suspend(() => {
          const handling = handle(progress)
          return Effect.isEffect(handling) ? handling : Effect.void
        })
      ),
      Effect.forkChild
    )
    const exit = yield* Effect.exit(operation((progress) => {
      Queue.offerUnsafe(reports, progress)
    }))
    yield* Queue.end(reports)
    yield* Fiber.join(handling)
    return yield* exit
  })
