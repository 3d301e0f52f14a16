/**
 * Uses something for as long as an effect runs, and leaves the scope of that effect to whoever gave it one.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"

/** Acquires in a scope of its own, which closes when `use` has ended. */
export const using = <A, E, R, B, E2, R2>(options: {
  readonly acquire: Effect.Effect<A, E, R | Scope.Scope>
  readonly use: (value: A) => Effect.Effect<B, E2, R2>
}): Effect.Effect<B, E | E2, Exclude<R, Scope.Scope> | R2> =>
  Effect.suspend(() => {
    const scope = Scope.makeUnsafe()
    return Effect.onExit(
      Effect.flatMap(Scope.provide(options.acquire, scope), options.use),
      (exit) => Scope.close(scope, exit)
    )
  })
