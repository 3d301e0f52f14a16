/**
 * Progress handling: runs a handler on the progress of an operation, one report at a time, in order.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Progress } from "../../Mcp.ts"

/** How many reports are kept for a slow handler: the latest. */
const capacity = 64

/** A handler may be an effect or a plain function. */
export type Handle<A> = (value: A) => Effect.Effect<void> | void

/** Runs a handler as an effect. */
export const handle = <A>(handler: Handle<A> | undefined, value: A): Effect.Effect<void> =>
  Effect.suspend(() => {
    const handling = handler?.(value)
    return Effect.isEffect(handling) ? handling : Effect.void
  })

/**
 * Runs an operation that reports progress. Ends when the operation has ended and all its reports are handled; interruption ends both at
 * once.
 */
export const withProgress = <A, E>(
  handler: Handle<Progress> | undefined,
  operation: (onProgress: ((progress: Progress) => void) | undefined) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  handler === undefined ? operation(undefined) : Effect.gen(function*() {
    const reports = yield* Queue.sliding<Progress, Cause.Done>(capacity)
    const handling = yield* Stream.fromQueue(reports).pipe(
      Stream.runForEach((progress) => handle(handler, progress)),
      Effect.forkChild
    )
    const exit = yield* Effect.exit(operation((progress) => {
      Queue.offerUnsafe(reports, progress)
    }))
    yield* Queue.end(reports)
    yield* Fiber.join(handling)
    return yield* exit
  })
