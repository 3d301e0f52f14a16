/**
 * Parses the headers of `--header`: `Name: value`, where secrets stay out of the command line.
 *
 * | value | meaning |
 * | --- | --- |
 * | `$NAME`, `${NAME}` anywhere in it | a variable of the environment; `$$` is a dollar sign |
 * | `@file` | the contents of a file, without the line break at the end; `@@` escapes a value that begins with `@` |
 *
 * A problem names the header and never its value.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { UsageError } from "./Failure.ts"
import { readRegularFile } from "./internal/regularFile.ts"
import { Invocation } from "./Invocation.ts"

/** The largest file that a header is read from, in MiB. */
const fileLimit = 1

const headerPattern = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([\s\S]*)$/

const variablePattern = /\$(?:\$|\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g

/** Replaces the variables of a value. Adds the names of those that are not set to `missing`. */
const interpolate = (options: {
  readonly value: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly missing: Array<string>
}): string => {
  const { environment, missing, value } = options
  return value.replaceAll(variablePattern, (whole, braced?: string, plain?: string) => {
    const name = braced ?? plain
    if (name === undefined) return "$"
    const found = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (found === undefined) missing.push(name)
    return found ?? whole
  })
}

/**
 * Parses the lines of `--header` into headers by name. Fails with all problems together.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = Effect.fnUntraced(function*(
  lines: ReadonlyArray<string>
): Effect.fn.Return<Readonly<Record<string, string>>, UsageError, Invocation> {
  const { directory, environment } = yield* Invocation
  const problems: Array<string> = []
  const headers = new Map<string, string>()
  for (const text of lines) {
    const [, name, written = ""] = headerPattern.exec(text) ?? []
    if (name === undefined) {
      problems.push("--header: expected \"Name: value\"")
      continue
    }
    if (headers.has(name.toLowerCase())) problems.push(`--header ${name}: given twice`)
    const missing: Array<string> = []
    const value = written.startsWith("@@")
      ? written.slice(1)
      : written.startsWith("@")
      ? yield* readRegularFile({ directory, path: written.slice(1), mebibytes: fileLimit }).pipe(
        Effect.map((content) => content.replace(/\r?\n$/, "")),
        Effect.catch((refusal) => {
          problems.push(`--header ${name}: ${refusal}`)
          return Effect.succeed("")
        })
      )
      : interpolate({ value: written, environment, missing })
    for (const variable of missing) problems.push(`--header ${name}: the variable ${variable} is not set`)
    if (/[\r\n\0]/.test(value)) problems.push(`--header ${name}: expected a value on one line`)
    headers.set(name.toLowerCase(), value)
  }
  const [first, ...rest] = problems
  if (first !== undefined) return yield* new UsageError({ problems: [first, ...rest] })
  return Object.fromEntries(headers)
})
