/**
 * Starts a process before its channel is opened.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"

/**
 * Runs an effect at once and gives its outcome, success or failure, to the first effect that asks; later ones run it again. What it has acquired is
 * released with the scope of the effect that took it; if none does, with the scope in which it was started.
 */
export const spawnAhead = <A, E>(
  start: Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<Effect.Effect<A, E, Scope.Scope>, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => {
    const ahead = Scope.forkUnsafe(scope)
    let isTaken = false
    return Effect.map(Effect.exit(Scope.provide(start, ahead)), (outcome) =>
      Effect.suspend(() => {
        if (isTaken) return start
        isTaken = true
        return Effect.andThen(Effect.addFinalizer((exit) => Scope.close(ahead, exit)), outcome)
      }))
  })
