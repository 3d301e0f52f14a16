/**
 * Bounds the end of a layer whose parts may wait for other machines.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"

/** Builds a layer whose end takes no longer than a limit. What is left of it then ends with the process. */
export const boundedLayer = <A, E, R>(
  layer: Layer.Layer<A, E, R>,
  { limit, warning }: {
    readonly limit: Duration.Input
    /** What is logged if the limit is reached. */
    readonly warning: string
  }
): Layer.Layer<A, E, R> =>
  Layer.effectContext(Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer((exit) =>
      Effect.gen(function*() {
        const closing = yield* Effect.forkDetach(Scope.close(scope, exit))
        const ended = yield* Effect.timeoutOption(Fiber.await(closing), limit)
        if (Option.isNone(ended)) {
          yield* Effect.logWarning(warning)
        }
      })
    )
    return yield* Layer.buildWithScope(layer, scope)
  }))
