/**
 * Makes JSON Schemas of values in files from the schemas of server keys.
 */
import * as Duration from "effect/Duration"
import type * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"
import { durationAnnotation, type DurationBounds } from "../packages/core/src/internal/config/values.ts"

export type Json = JsonSchema.JsonSchema

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** Schema of a text with a reference to a variable, an input or a place. */
export const reference: Json = {
  description: "A text with references such as `${NAME}`.",
  type: "string",
  pattern: String.raw`\$\{(?:env:[^:}]+(?::-[^}]*)?|[A-Za-z_]\w*(?::-[^}]*)?|input:[^}]+|/)\}|\{env:[A-Za-z_]\w*\}`
}

/** Refers to {@link reference}, which is a definition of the document. */
export const interpolated: Json = { $ref: "#/$defs/reference" }

/** A text, or a text with references, unless the pattern fits those anyway. */
const textOf = (schema: Json): Json => {
  const { enum: names, pattern } = schema
  const fits = names === undefined && (typeof pattern !== "string" || new RegExp(pattern, "u").test("${NAME:-a b}"))
  return fits ? schema : { anyOf: [schema, interpolated] }
}

/** A number of milliseconds, or a text with a unit. */
const durationOf = ({ maximum, minimum }: DurationBounds): Json => {
  const millis = (bound: DurationBounds["minimum"]) => Duration.toMillis(Duration.fromInputUnsafe(bound))
  return {
    anyOf: [
      { type: "number", minimum: millis(minimum), maximum: millis(maximum) },
      {
        type: "string",
        pattern: String.raw`^\d+(?:\.\d+)?\s+(?:nanos?|micros?|millis?|seconds?|minutes?|hours?|days?|weeks?)$`
      },
      interpolated
    ]
  }
}

const distinct = (schemas: ReadonlyArray<Json>): ReadonlyArray<Json> =>
  Array.from(new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values())

/** A list of one item and more like it is a list of items. */
const untupled = ({ prefixItems, ...rest }: Json): Json =>
  prefixItems === undefined || JSON.stringify(prefixItems) === JSON.stringify([rest.items])
    ? rest
    : { ...rest, prefixItems }

/** Adapts a generated schema to files: texts may hold references, and values that only programs have are left out. */
const adapted = (schema: Json): Json => {
  if (durationAnnotation in schema) return durationOf(schema[durationAnnotation] as DurationBounds)
  if (schema.type === "string") return textOf(schema)
  const entries = Object.entries(schema).map(([key, value]): readonly [string, unknown] => {
    if (key === "properties" && isObject(value)) {
      return [key, Object.fromEntries(Object.entries(value).map(([name, item]) => [name, adapted(item as Json)]))]
    }
    if (key === "anyOf" && Array.isArray(value)) {
      return [key, distinct(value.map(adapted).flatMap((one) => "anyOf" in one ? one.anyOf as Array<Json> : [one]))]
    }
    if ((key === "additionalProperties" || key === "items") && isObject(value)) return [key, adapted(value)]
    if (key === "prefixItems" && Array.isArray(value)) return [key, value.map(adapted)]
    return [key, value]
  })
  const { anyOf, ...members } = Object.fromEntries(entries) as Json & { readonly anyOf?: ReadonlyArray<Json> }
  const rest = untupled(members)
  if (anyOf === undefined) return rest
  const [only] = anyOf
  return anyOf.length === 1 && only !== undefined ? { ...rest, ...only } : { ...rest, anyOf }
}

/** The JSON Schema of a value in a file. */
export const generated = (schema: Schema.Constraint): Json =>
  adapted(
    Schema.toJsonSchemaDocument(schema, {
      onExcessProperty: "error",
      includeAnnotationKey: (key) => key === durationAnnotation
    }).schema
  )
