/**
 * Replaces the variables in the texts of a definition.
 */
import * as Predicate from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import { value as revealed } from "effect/Redacted"
import type { Path } from "./node.ts"
import { parse, type Part, type PlaceName } from "./template.ts"

/** The values that templates can refer to. */
export interface Values {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly places: Readonly<Record<PlaceName, string | undefined>>
  /** The values of inputs by id, as far as they are known. */
  readonly inputs: ReadonlyMap<string, Redacted.Redacted<string>>
}

/** A reference without a value, or one that is written wrongly. */
export type Missing =
  | { readonly kind: "variable"; readonly name: string; readonly path: Path }
  | { readonly kind: "input"; readonly id: string; readonly path: Path }
  | { readonly kind: "invalid"; readonly path: Path }

interface Text {
  readonly path: Path
  readonly parts: ReadonlyArray<Part>
}

type Form = Parameters<typeof parse>[1]

/** Rebuilds a value with other texts. */
const mapTexts = (value: unknown, path: Path, f: (text: string, path: Path) => string): unknown =>
  typeof value === "string"
    ? f(value, path)
    : Array.isArray(value)
    ? value.map((item, index) => mapTexts(item, [...path, index], f))
    : Predicate.isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, [...path, key], f)]))
    : value

/** Every text of a value, in its parts. */
export const textsIn = (value: unknown, form: Form): ReadonlyArray<Text> => {
  const texts: Array<Text> = []
  mapTexts(value, [], (text, path) => {
    texts.push({ path, parts: parse(text, form) })
    return text
  })
  return texts
}

/** The environment has the properties of every object, too. */
const lookUp = (environment: Values["environment"], name: string): string | undefined =>
  Object.hasOwn(environment, name) ? environment[name] : undefined

/** The value of a part. `undefined`: it has none. The default of a variable applies if it is unset or empty, as in a shell. */
const valueOf = (part: Part, { environment, inputs, places }: Values): string | undefined => {
  switch (part.kind) {
    case "text":
      return part.text
    case "variable": {
      const value = lookUp(environment, part.name)
      return part.fallback !== undefined && (value === undefined || value === "") ? part.fallback : value
    }
    case "input": {
      const value = inputs.get(part.id)
      return value === undefined ? undefined : revealed(value)
    }
    case "place":
      return places[part.name]
    case "invalid":
      return undefined
  }
}

const missingOf = (part: Part, path: Path): Missing => {
  switch (part.kind) {
    case "variable":
      return { kind: "variable", name: part.name, path }
    case "input":
      return { kind: "input", id: part.id, path }
    case "place":
      return { kind: "variable", name: part.name, path }
    default:
      return { kind: "invalid", path }
  }
}

/** Replaces the variables in all texts of a value, and reports every reference without a value. Such a text stays empty there. */
export const interpolate = (
  value: unknown,
  form: Form,
  values: Values
): { readonly value: unknown; readonly missing: ReadonlyArray<Missing> } => {
  const missing: Array<Missing> = []
  const replaced = mapTexts(value, [], (text, path) =>
    parse(text, form).map((part) => {
      const found = valueOf(part, values)
      if (found === undefined) missing.push(missingOf(part, path))
      return found ?? ""
    }).join(""))
  return { value: replaced, missing }
}
