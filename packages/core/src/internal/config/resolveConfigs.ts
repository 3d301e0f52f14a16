/**
 * Puts the values of `Config`s into a configuration that a program gives.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as SchemaIssue from "effect/SchemaIssue"
import { type ConfigError, UnresolvedConfig } from "../../ConfigError.ts"
import { failWith } from "./failWith.ts"

type Path = ReadonlyArray<string | number>

/** The settings that an issue is about, as paths in the provider. */
const settingsIn = (issue: SchemaIssue.Issue, path: ReadonlyArray<string>): ReadonlyArray<string> => {
  switch (issue._tag) {
    case "Pointer":
      return settingsIn(issue.issue, [...path, ...issue.path.map(String)])
    case "Composite":
      return issue.issues.flatMap((issue) => settingsIn(issue, path))
    case "Encoding":
    case "Filter":
      return settingsIn(issue.issue, path)
    default:
      return [path.join(".")]
  }
}

const unresolved = (path: Path, setting?: string): UnresolvedConfig => {
  const [first] = path.slice(1, 2)
  return new UnresolvedConfig({
    path,
    ...(typeof first === "string" ? { server: first } : {}),
    ...(setting === undefined ? {} : { setting })
  })
}

const problemsOf = ({ cause }: Config.ConfigError, path: Path): ReadonlyArray<UnresolvedConfig> =>
  cause._tag === "SourceError"
    ? [unresolved(path)]
    : [...new Set(settingsIn(cause.issue, []))].map((setting) => unresolved(path, setting))

const isPlainObject = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

type Resolved = Result.Result<unknown, ReadonlyArray<UnresolvedConfig>>

const resolveEntries = (
  entries: ReadonlyArray<readonly [string | number, unknown]>,
  path: Path
): Effect.Effect<Result.Result<ReadonlyArray<readonly [string | number, unknown]>, ReadonlyArray<UnresolvedConfig>>> =>
  Effect.map(
    Effect.forEach(entries, ([key, item]) => Effect.map(resolveValue(item, [...path, key]), (item) => ({ key, item }))),
    (resolved) => {
      const problems = resolved.flatMap(({ item }) => Result.isFailure(item) ? item.failure : [])
      return problems.length > 0
        ? Result.fail(problems)
        : Result.succeed(resolved.map(({ item, key }) => [key, Result.getOrThrow(item)] as const))
    }
  )

const resolveValue = (value: unknown, path: Path): Effect.Effect<Resolved> => {
  if (Config.isConfig(value)) {
    return Effect.match(value, {
      onFailure: (error): Resolved => Result.fail(problemsOf(error, path)),
      onSuccess: (value): Resolved => Result.succeed(value)
    }).pipe(
      // A provider of the program may die, and the text of its error may hold what it has read.
      Effect.catchDefect(() => Effect.succeed(Result.fail([unresolved(path)])))
    )
  }
  if (Array.isArray(value)) {
    return Effect.map(
      resolveEntries([...value.entries()], path),
      (entries) => Result.map(entries, (entries) => entries.map(([, item]) => item))
    )
  }
  return typeof value === "object" && value !== null && isPlainObject(value)
    ? Effect.map(resolveEntries(Object.entries(value), path), (entries) => Result.map(entries, Object.fromEntries))
    : Effect.succeed(Result.succeed(value))
}

/** Replaces each `Config` in a value by what it gives. Fails with all settings that are missing or cannot be used. */
export const resolveConfigs = (value: unknown, path: Path): Effect.Effect<unknown, ConfigError> =>
  Effect.flatMap(
    resolveValue(value, path),
    Result.match({ onSuccess: Effect.succeed, onFailure: (problems) => failWith(problems) })
  )
