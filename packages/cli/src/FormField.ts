/**
 * Fields of a form that a server asks a user to fill in: read from the schema of the form, and parsed from what the user types.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#requested-schema
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { isJsonObject, textOf } from "./internal/text.ts"

/**
 * A value that a user can choose.
 *
 * @category models
 * @since 0.1.0
 */
export interface Choice {
  readonly value: string
  readonly label: string
}

/**
 * A field of a form.
 *
 * @category models
 * @since 0.1.0
 */
export interface Field {
  readonly key: string
  readonly label: string
  readonly description: string | undefined
  readonly isRequired: boolean
  /** Whether what is typed is hidden. */
  readonly isSecret: boolean
  /** The value of a field that is left empty. */
  readonly initial: unknown
  /** The values to choose from; empty if any value will do. */
  readonly choices: ReadonlyArray<Choice>
  /** Describes a valid value, as in "expected a whole number from 1 to 10". */
  readonly expected: string
  /** Parses what the user typed. Fails with a sentence that does not quote it. */
  readonly parse: (text: string) => Result.Result<unknown, string>
}

/** The largest number of fields that is asked for. */
const fieldLimit = 64

/** The largest number of choices of one field. */
const choiceLimit = 1000

const secretWord = /\b(?:pass(?:word|phrase|code|wd)?|secret|token|api ?key|credentials?|pin|otp|cvv|cvc)\b/i

/** Whether a name such as `api_key` or `accessToken` is that of a secret. */
const isSecretName = (name: string): boolean => secretWord.test(name.replaceAll(/(?<=[a-z])(?=[A-Z])|[_-]+/g, " "))

const integerOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined

/** Describes the bounds of a value: " from 1 to 10", " of at least 1". */
const boundsText = (...[minimum, maximum]: readonly [minimum: number | undefined, maximum: number | undefined]) =>
  minimum !== undefined && maximum !== undefined
    ? ` from ${minimum} to ${maximum}`
    : minimum !== undefined
    ? ` of at least ${minimum}`
    : maximum !== undefined
    ? ` of at most ${maximum}`
    : ""

const isWithin = (
  ...[value, minimum, maximum]: readonly [value: number, minimum: number | undefined, maximum: number | undefined]
): boolean => (minimum === undefined || value >= minimum) && (maximum === undefined || value <= maximum)

type Parser = Pick<Field, "choices" | "expected" | "parse">

const check = <A>(
  ...[expected, value, isValid]: readonly [expected: string, value: A, isValid: boolean]
): Result.Result<A, string> => isValid ? Result.succeed(value) : Result.fail(`expected ${expected}`)

const numberParser = (schema: Readonly<Record<string, unknown>>): Parser => {
  const isWhole = schema.type === "integer"
  const [minimum, maximum] = [integerOf(schema.minimum), integerOf(schema.maximum)]
  const expected = `${isWhole ? "a whole number" : "a number"}${boundsText(minimum, maximum)}`
  return {
    choices: [],
    expected,
    parse: (text) => {
      const value = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN
      const isNumber = isWhole ? Number.isSafeInteger(value) : Number.isFinite(value)
      return check(expected, value, isNumber && isWithin(value, minimum, maximum))
    }
  }
}

const booleanParser: Parser = {
  choices: [],
  expected: "yes or no",
  parse: (text) => {
    const word = text.toLowerCase()
    const isYes = ["y", "yes", "true"].includes(word)
    return check("yes or no", isYes, isYes || ["n", "no", "false"].includes(word))
  }
}

const formats: Readonly<Record<string, { readonly expected: string; readonly is: (text: string) => boolean }>> = {
  email: { expected: "an email address", is: (text) => /^[^\s@]+@[^\s@]+$/.test(text) },
  uri: { expected: "a URL", is: (text) => URL.canParse(text) },
  date: {
    expected: "a date such as 2026-01-31",
    is: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text))
  },
  "date-time": {
    expected: "a time such as 2026-01-31T12:00:00Z",
    is: (text) => /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}/.test(text) && !Number.isNaN(Date.parse(text))
  }
}

const textParser = (schema: Readonly<Record<string, unknown>>): Parser => {
  const format = typeof schema.format === "string" && Object.hasOwn(formats, schema.format)
    ? formats[schema.format]
    : undefined
  const [minimum, maximum] = [integerOf(schema.minLength), integerOf(schema.maxLength)]
  const bounds = boundsText(minimum, maximum)
  const expected = (format?.expected ?? "text") + (bounds === "" ? "" : `${bounds} characters`)
  return {
    choices: [],
    expected,
    parse: (text) => check(expected, text, isWithin([...text].length, minimum, maximum) && (format?.is(text) ?? true))
  }
}

/** Returns the choices of an enum in each of its shapes: `enum` with or without `enumNames`, and `oneOf` or `anyOf` of constants. */
const choicesOf = (schema: Readonly<Record<string, unknown>>): ReadonlyArray<Choice> => {
  const { anyOf, enumNames, oneOf } = schema
  if (Array.isArray(schema.enum)) {
    const names: ReadonlyArray<unknown> = Array.isArray(enumNames) ? enumNames : []
    return schema.enum.slice(0, choiceLimit).flatMap((value, index) =>
      typeof value === "string" ? [{ value, label: textOf(names[index]) ?? value }] : []
    )
  }
  const constants: ReadonlyArray<unknown> = Array.isArray(oneOf) ? oneOf : Array.isArray(anyOf) ? anyOf : []
  return constants.slice(0, choiceLimit).flatMap((constant) =>
    isJsonObject(constant) && typeof constant.const === "string"
      ? [{ value: constant.const, label: textOf(constant.title) ?? constant.const }]
      : []
  )
}

/** Finds a choice by its value, its label or its number. */
const find = (
  ...[choices, text]: readonly [choices: ReadonlyArray<Choice>, text: string]
): Choice | undefined =>
  choices.find(({ value }) => value === text) ?? choices.find(({ label }) => label === text) ??
    (/^[1-9]\d*$/.test(text) ? choices[Number(text) - 1] : undefined) ??
    choices.find(({ label, value }) => [label, value].some((name) => name.toLowerCase() === text.toLowerCase()))

const choiceParser = (choices: ReadonlyArray<Choice>): Parser => {
  const expected = `a number from 1 to ${choices.length}, or one of the names`
  return {
    choices,
    expected,
    parse: (text) => {
      const choice = find(choices, text)
      return check(expected, choice?.value, choice !== undefined)
    }
  }
}

const listParser = (schema: Readonly<Record<string, unknown>>, choices: ReadonlyArray<Choice>): Parser => {
  const [minimum, maximum] = [integerOf(schema.minItems), integerOf(schema.maxItems)]
  const expected = `a list${
    boundsText(minimum, maximum)
  } with commas of numbers from 1 to ${choices.length}, or of names`
  return {
    choices,
    expected,
    parse: (text) => {
      const words = text.split(",").map((word) => word.trim()).filter((word) => word !== "")
      const values = words.map((word) => find(choices, word)?.value)
      return check(
        expected,
        [...new Set(values)],
        values.every((value) => value !== undefined) && isWithin(new Set(values).size, minimum, maximum)
      )
    }
  }
}

const parserOf = (schema: Readonly<Record<string, unknown>>): Parser => {
  switch (schema.type) {
    case "number":
    case "integer":
      return numberParser(schema)
    case "boolean":
      return booleanParser
    case "array":
      return listParser(schema, isJsonObject(schema.items) ? choicesOf(schema.items) : [])
    default: {
      const choices = choicesOf(schema)
      return choices.length > 0 ? choiceParser(choices) : textParser(schema)
    }
  }
}

/**
 * Reads the fields of the schema of a form, in their order. Parts of the schema that are not of a known shape are read as text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fieldsOf = (schema: unknown): ReadonlyArray<Field> => {
  if (!isJsonObject(schema) || !isJsonObject(schema.properties)) return []
  const required: ReadonlyArray<unknown> = Array.isArray(schema.required) ? schema.required : []
  return Object.entries(schema.properties).slice(0, fieldLimit).map(([key, value]) => {
    const property = isJsonObject(value) ? value : {}
    const title = textOf(property.title)
    return {
      key,
      label: title ?? key,
      description: textOf(property.description),
      isRequired: required.includes(key),
      isSecret: property.format === "password" || [key, title ?? ""].some(isSecretName),
      initial: property.default,
      ...parserOf(property)
    }
  })
}
