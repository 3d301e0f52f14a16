/**
 * Parses words of the command line into the arguments of a prompt, which are texts.
 *
 * | form | meaning |
 * | --- | --- |
 * | `key=value` | the text as it is |
 * | `key=@file` | the contents of a file; `@@` escapes a text that begins with `@` |
 *
 * @since 0.1.0
 */
import type { Prompt } from "@mcp-sessions/core/Mcp"
import { closest } from "@mcp-sessions/core/Suggestion"
import * as Effect from "effect/Effect"
import { UsageError } from "./Failure.ts"
import { readRegularFile } from "./internal/regularFile.ts"
import { isJsonObject, quote, textOf } from "./internal/text.ts"

/** The largest file that an argument is read from, in MiB. */
const fileLimit = 64

interface Parameter {
  readonly name: string
  readonly isRequired: boolean
}

/** Returns the arguments that a prompt declares. Those without a name are left out. */
const parametersOf = (prompt: Prompt): ReadonlyArray<Parameter> => {
  const declared: unknown = prompt.arguments
  if (!Array.isArray(declared)) return []
  return declared.flatMap((argument: unknown) =>
    isJsonObject(argument) && typeof argument.name === "string"
      ? [{ name: argument.name, isRequired: argument.required === true }]
      : []
  )
}

/**
 * Formats the expected call of a prompt: `review code=<text> [style=<text>]`.
 *
 * @category rendering
 * @since 0.1.0
 */
export const signatureOf = (prompt: Prompt): string =>
  [
    textOf(prompt.name) ?? quote(prompt.name),
    ...parametersOf(prompt).map(({ isRequired, name }) => isRequired ? `${name}=<text>` : `[${name}=<text>]`)
  ].join(" ")

/** Returns the problems of arguments beside the declared ones. */
const problemsOf = (
  ...[parameters, given]: readonly [parameters: ReadonlyArray<Parameter>, given: ReadonlyMap<string, string>]
): ReadonlyArray<string> => {
  const names = parameters.map(({ name }) => name)
  const unknown = [...given.keys()].filter((key) => !names.includes(key)).map((key) => {
    const suggestion = closest(key, names)
    return `unknown argument "${key}"${suggestion === undefined ? "" : `; did you mean "${suggestion}"?`}`
  })
  const missing = parameters.filter(({ isRequired, name }) => isRequired && !given.has(name))
  return [...unknown, ...missing.map(({ name }) => `missing argument "${name}"`)]
}

/**
 * Parses the words, and checks them against the arguments that the prompt declares. Reports all problems together.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function*(options: {
  readonly prompt: Prompt
  readonly words: ReadonlyArray<string>
  readonly validate: boolean
  /** The directory that the paths of `key=@file` start from. */
  readonly directory: string
}): Effect.fn.Return<Record<string, string>, UsageError> {
  const { directory, prompt, validate, words } = options
  const problems: Array<string> = []
  const given = new Map<string, string>()
  for (const word of words) {
    const at = word.indexOf("=")
    const key = word.slice(0, at)
    const text = word.slice(at + 1)
    if (at <= 0) problems.push(`cannot parse "${word}"; expected key=value`)
    else if (given.has(key)) problems.push(`${key}: given twice`)
    else if (text.startsWith("@") && !text.startsWith("@@")) {
      const contents = yield* readRegularFile({ directory, path: text.slice(1), mebibytes: fileLimit }).pipe(
        Effect.catch((refusal) => {
          problems.push(`${key}: ${refusal}`)
          return Effect.succeed("")
        })
      )
      given.set(key, contents)
    } else given.set(key, text.startsWith("@@") ? text.slice(1) : text)
  }
  const [first, ...others] = validate ? [...problems, ...problemsOf(parametersOf(prompt), given)] : problems
  if (first !== undefined) return yield* new UsageError({ problems: [first, ...others], hint: signatureOf(prompt) })
  return Object.fromEntries(given)
})
