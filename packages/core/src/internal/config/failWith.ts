/**
 * Fails with the problems of a configuration.
 */
import * as Effect from "effect/Effect"
import { ConfigError, type ConfigProblem } from "../../ConfigError.ts"

/** Fails with problems, of which there must be one or more. */
export const failWith = ([first, ...rest]: ReadonlyArray<ConfigProblem>): Effect.Effect<never, ConfigError> =>
  first === undefined
    ? Effect.die("a failure needs a problem")
    : Effect.fail(new ConfigError({ problems: [first, ...rest] }))
