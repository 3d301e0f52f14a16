/**
 * Finds the keys of options that nothing reads, such as misspelled ones.
 */
import { ConfigError, UnknownKey } from "@mcp-sessions/core/ConfigError"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"

/** Lists the keys of options of a type. The compiler checks that none is missing. */
export const keysOf = <O>(keys: { readonly [K in keyof Required<O>]: true }): ReadonlyArray<string> => Object.keys(keys)

/** Returns a problem for each key that is unknown. `undefined` is no option, so that programs may leave keys open. */
export const unknownKeys = ({ known, options, path }: {
  readonly options: unknown
  readonly known: ReadonlyArray<string>
  /** The keys that lead to the options. */
  readonly path: ReadonlyArray<string | number>
}): ReadonlyArray<UnknownKey> =>
  !Predicate.isObject(options)
    ? []
    : Object.entries(options)
      .filter(([key, value]) => value !== undefined && !known.includes(key))
      .map(([key]) => new UnknownKey({ path: [...path, key], key, validNames: known }))

interface Given {
  readonly options: unknown
  readonly known: ReadonlyArray<string>
}

const errorOf = (given: Given): ConfigError | undefined => {
  const [first, ...rest] = unknownKeys({ ...given, path: [] })
  return first && new ConfigError({ problems: [first, ...rest] })
}

/** Fails with a `ConfigError` if a key of options is unknown. */
export const checkKeys = (given: Given): Effect.Effect<void, ConfigError> =>
  Effect.suspend(() => errorOf(given) ?? Effect.void)

/** Throws a `ConfigError` if a key of options is unknown, for functions that are no effects. */
export const throwUnknownKeys = (given: Given): void => {
  const error = errorOf(given)
  if (error !== undefined) throw error
}
