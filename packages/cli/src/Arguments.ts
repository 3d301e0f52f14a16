/**
 * Parses words of the command line into the arguments of a tool, guided by the input schema of the tool.
 *
 * | form | meaning |
 * | --- | --- |
 * | `key=value` | a value of the type in the schema: text as it is, a number, a boolean, or JSON for arrays and objects |
 * | `key:=JSON` | a JSON value, regardless of the schema |
 * | `key=@file` | the contents of a file; `@@` escapes a text that begins with `@` |
 * | `a.b=value` | the member `b` of the object `a` |
 * | `key=a key=b` | an array, if the schema says array |
 *
 * Numbers reach the tool as they are written, also those that JavaScript cannot hold, such as identifiers of 64 bits.
 *
 * @since 0.1.0
 */
import type { Tool } from "@mcp-sessions/core/Mcp"
import { closest } from "@mcp-sessions/core/Suggestion"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { UsageError } from "./Failure.ts"
import { readRegularFile } from "./internal/regularFile.ts"
import { faultOf, quote, textOf } from "./internal/text.ts"

/** The largest file that an argument is read from, in MiB. */
const fileLimit = 64

type JsonObject = Record<string, unknown>

const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !ExactNumbers.isRawNumber(value)

const typesOf = (schema: unknown): ReadonlyArray<string> => {
  if (!isJsonObject(schema)) return []
  const { anyOf, oneOf, type } = schema
  if (typeof type === "string") return [type]
  if (Array.isArray(type)) return type.filter((name) => typeof name === "string")
  return [anyOf, oneOf].flatMap((members) => Array.isArray(members) ? members.flatMap(typesOf) : [])
}

const propertiesOf = (schema: unknown): JsonObject | undefined =>
  isJsonObject(schema) && isJsonObject(schema.properties) ? schema.properties : undefined

/** Follows a reference within the schema of the tool. References to other documents are not followed. */
const resolved = (schema: unknown, root: unknown, depth = 0): unknown => {
  if (!isJsonObject(schema) || typeof schema.$ref !== "string" || !schema.$ref.startsWith("#/") || depth > 8) {
    return schema
  }
  const target = schema.$ref.slice(2).split("/").reduce<unknown>((found, key) => {
    const name = key.replaceAll("~1", "/").replaceAll("~0", "~")
    return isJsonObject(found) && Object.hasOwn(found, name) ? found[name] : undefined
  }, root)
  return resolved(target, root, depth + 1)
}

/** Returns the schema of a dotted key; `undefined` if the schema does not describe it. */
const schemaAt = (root: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((schema, key) => resolved(propertiesOf(schema)?.[key], root), root)

const decimal = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

const parseValue = (word: string, schema: unknown, name: string): Result.Result<unknown, string> => {
  const types = typesOf(schema)
  if (types.includes("string") || types.length === 0) return Result.succeed(word)
  if ((types.includes("integer") || types.includes("number")) && decimal.test(word)) {
    const value = ExactNumbers.fromDecimal(word)
    if (types.includes("number") || ExactNumbers.isWhole(value)) return Result.succeed(value)
  }
  if (types.includes("boolean") && (word === "true" || word === "false")) return Result.succeed(word === "true")
  if (types.includes("null") && word === "null") return Result.succeed(null)
  if (types.includes("array") || types.includes("object")) {
    const json = ExactNumbers.parse(word)
    if (Option.isSome(json) && types.some((type) => matches(json.value, type))) return Result.succeed(json.value)
    if (types.includes("array") && !/^\s*[[{]/.test(word)) {
      return Result.map(parseValue(word, isJsonObject(schema) ? schema.items : undefined, name), (item) => [item])
    }
  }
  return Result.fail(`${name}: expected ${types.join(" or ")}`)
}

const matches = (value: unknown, type: string): boolean => {
  switch (type) {
    case "integer":
      return ExactNumbers.isWhole(value)
    case "number":
      return typeof value === "number" || ExactNumbers.isRawNumber(value)
    case "array":
      return Array.isArray(value)
    case "object":
      return isJsonObject(value) && !Array.isArray(value)
    case "null":
      return value === null
    default:
      return typeof value === type
  }
}

/** Whether a value is one of a list. A number that JavaScript cannot hold is left to the server: the list has been rounded. */
const isMember = (value: unknown, members: ReadonlyArray<unknown>): boolean => {
  if (ExactNumbers.isRawNumber(value) || members.includes(value)) return true
  const json = JSON.stringify(value)
  return typeof value === "object" && members.some((member) => JSON.stringify(member) === json)
}

const assign = (target: JsonObject, path: ReadonlyArray<string>, value: unknown): void => {
  const [key = "", ...rest] = path
  if (rest.length > 0) {
    const below = Object.hasOwn(target, key) ? target[key] : undefined
    const member: JsonObject = isJsonObject(below) ? below : {}
    define(target, key, member)
    assign(member, rest, value)
    return
  }
  define(target, key, value)
}

/** Sets a property like `=`, but treats `__proto__` as an ordinary key. */
const define = (target: JsonObject, key: string, value: unknown): void => {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

const wordPattern = /^([^=:]+)(:=|=)([\s\S]*)$/

/** Returns the input schema of a tool. Servers leave it out for tools without parameters; without one, any arguments will do. */
const schemaOf = (tool: Tool): JsonObject => {
  const schema: unknown = tool.inputSchema
  return isJsonObject(schema) && !Array.isArray(schema) ? schema : {}
}

/** Formats the expected call of a tool. */
const signature = (tool: Tool): string => {
  const inputSchema = schemaOf(tool)
  const required: ReadonlyArray<unknown> = Array.isArray(inputSchema.required) ? inputSchema.required : []
  const keys = Object.entries(propertiesOf(inputSchema) ?? {}).map(([key, schema]) => {
    const text = `${key}=<${typesOf(resolved(schema, inputSchema)).join("|") || "any"}>`
    return required.includes(key) ? text : `[${text}]`
  })
  return [tool.name, ...keys].join(" ")
}

/** Checks arguments against the first level of the schema. The server checks nested values itself. */
const problemsOf = (options: {
  readonly tool: Tool
  readonly args: JsonObject
  /** Arguments that were given but are invalid. They are not missing, too. */
  readonly invalid: ReadonlySet<string>
  /** Whether some word could not be parsed. It may have been meant for any argument that is missing. */
  readonly isPartial: boolean
}): ReadonlyArray<string> => {
  const { args, invalid, isPartial, tool } = options
  const inputSchema = schemaOf(tool)
  const properties = propertiesOf(inputSchema)
  const { additionalProperties, required } = inputSchema
  const names = Object.keys(properties ?? {})
  const isOpen = properties === undefined || additionalProperties === true || isJsonObject(additionalProperties)
  const problems: Array<string> = []
  for (const [key, value] of Object.entries(args)) {
    const schema = properties !== undefined && Object.hasOwn(properties, key)
      ? resolved(properties[key], inputSchema)
      : undefined
    if (schema === undefined) {
      const suggestion = closest(key, names)
      const advice = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`
      if (!isOpen) problems.push(`unknown argument "${key}"${advice}`)
      continue
    }
    const types = typesOf(schema)
    if (types.length > 0 && !types.some((type) => matches(value, type))) {
      problems.push(`${key}: expected ${types.join(" or ")}`)
    } else if (isJsonObject(schema) && Array.isArray(schema.enum) && !isMember(value, schema.enum)) {
      problems.push(`${key}: expected one of ${schema.enum.map((item) => textOf(item) ?? quote(item)).join(", ")}`)
    }
  }
  for (const key of Array.isArray(required) && !isPartial ? required : []) {
    if (typeof key === "string" && !Object.hasOwn(args, key) && !invalid.has(key)) {
      problems.push(`missing argument "${key}"`)
    }
  }
  return problems
}

/**
 * Parses the words. They override the arguments in `base`. With `validate`, the result is checked against the schema, and all
 * problems are reported together. Without it, a word that does not fit the schema is sent as text, and a repeated key as a list.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function*(options: {
  readonly tool: Tool
  readonly words: ReadonlyArray<string>
  readonly base: Readonly<Record<string, unknown>>
  readonly validate: boolean
  /** The directory that the paths of `key=@file` start from. */
  readonly directory: string
}): Effect.fn.Return<Record<string, unknown>, UsageError> {
  const { directory, tool, validate, words } = options
  const inputSchema = schemaOf(tool)
  const args: JsonObject = { ...options.base }
  const problems: Array<string> = []
  const given = new Map<string, unknown>()
  const invalid = new Set<string>()
  let isPartial = false
  for (const text of words) {
    const [, name, operator, rest = ""] = wordPattern.exec(text) ?? []
    if (name === undefined) {
      problems.push(`cannot parse "${text}"; expected key=value or key:=JSON`)
      isPartial = true
      continue
    }
    // A property whose name contains dots takes precedence over a path.
    const isWhole = Object.hasOwn(propertiesOf(inputSchema) ?? {}, name)
    const path = isWhole ? [name] : name.split(".")
    const schema = schemaAt(inputSchema, path)
    const literal = rest.startsWith("@@")
      ? rest.slice(1)
      : rest.startsWith("@") && operator === "="
      ? yield* readRegularFile({ directory, path: rest.slice(1), mebibytes: fileLimit }).pipe(
        Effect.catch((refusal) => {
          problems.push(`${name}: ${refusal}`)
          return Effect.undefined
        })
      )
      : rest
    if (literal === undefined) {
      invalid.add(path[0] ?? name)
      continue
    }
    const value = operator === ":="
      ? Result.fromOption(ExactNumbers.parse(literal), () => `${name}: expected JSON after :=${faultOf(literal)}`)
      : Result.orElse(
        parseValue(literal, schema, name),
        (problem) => validate ? Result.fail(problem) : Result.succeed<unknown>(literal)
      )
    if (Result.isFailure(value)) {
      problems.push(value.failure)
      invalid.add(path[0] ?? name)
      continue
    }
    const before = given.get(name)
    const isRepeated = given.has(name)
    const isList = typesOf(schema).includes("array")
    if (validate && isRepeated && !isList && typesOf(schema).length > 0) {
      problems.push(`${name}: given twice, but the tool takes one value`)
      continue
    }
    const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : [value]
    const next = isRepeated ? [...listOf(before), ...listOf(value.success)] : value.success
    given.set(name, next)
    assign(args, path, next)
  }
  const all = validate ? [...problems, ...problemsOf({ tool, args, invalid, isPartial })] : problems
  const [first, ...others] = all
  if (first === undefined) return args
  const hasUnknown = all.some((problem) => problem.startsWith("unknown argument"))
  const hint = hasUnknown ? `${signature(tool)} (--no-validate sends the arguments unchecked)` : signature(tool)
  return yield* new UsageError({ problems: [first, ...others], hint })
})
