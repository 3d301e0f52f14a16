/**
 * Describes the keys of a server definition: a schema that decodes the value, annotated with what people read about the key.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { duration, durationText, type Expectation, expectationOf } from "./values.ts"

interface Documentation {
  /** The effect of the key, as a sentence. */
  readonly description: string
  /** The reason for the key or its default, as a sentence. */
  readonly why: string
  /** The text of the default, where the value itself does not read well. */
  readonly defaultText?: string
}

/** The description of a key. */
export interface KeyDescription {
  readonly description: string
  readonly expectation: Expectation
  /** `undefined`: the key is required. */
  readonly default: string | undefined
  /** The default as a value of the document; `undefined` if none is written. */
  readonly defaultValue: unknown
  readonly why: string
}

const annotation = "@mcp-sessions/core/key"

const describedBy = (
  schema: Schema.Top,
  { defaultText, defaultValue, description, why }: Documentation & { readonly defaultValue?: unknown }
): { readonly description: string; readonly [annotation]: KeyDescription } => ({
  description,
  [annotation]: {
    description,
    expectation: expectationOf(schema) ?? { text: "valid", problem: "InvalidValue" },
    default: defaultText,
    defaultValue,
    why
  }
})

/** Describes a key that every definition needs. */
export const required = <S extends Schema.Top>(schema: S, documentation: Documentation) =>
  schema.pipe(Schema.annotateKey(describedBy(schema, documentation)))

/** Describes a key without a default value. */
export const optional = <S extends Schema.Top>(schema: S, documentation: Documentation) =>
  Schema.optionalKey(schema).pipe(Schema.annotateKey(describedBy(schema, documentation)))

/** Describes a key with a default value. */
export const defaulted = <S extends Schema.Top>(
  schema: S,
  { default: value, ...documentation }: Documentation & { readonly default: S["Encoded"] }
) =>
  schema.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(value)),
    Schema.annotateKey(describedBy(schema, { defaultText: String(value), defaultValue: value, ...documentation }))
  )

/** Describes a key that holds a duration. */
export const durationKey = ({ default: value, documentation, maximum, minimum }: {
  readonly minimum: Parameters<typeof duration>[0]["minimum"]
  readonly maximum: Parameters<typeof duration>[0]["maximum"]
  readonly default: Parameters<typeof durationText>[0]
  readonly documentation: Documentation
}) => defaulted(duration({ minimum, maximum }), { default: value, defaultText: durationText(value), ...documentation })

/** The description of a key. */
export const describedIn = (schema: { readonly ast: Schema.Top["ast"] }): KeyDescription | undefined =>
  schema.ast.context?.annotations?.[annotation] as KeyDescription | undefined
