/**
 * Typed results in promises: validates what a tool returned with a Standard Schema.
 *
 * @see https://standardschema.dev
 */
import * as Effect from "effect/Effect"
import type { StandardSchemaV1 } from "effect/StandardSchema"
import type { CallToolResult } from "../../Mcp.ts"
import type { CallToolOptions } from "../../Session.ts"
import { SessionError } from "../../SessionError.ts"
import { brokenSchema, misfit, valueToDecode } from "../session/typedResult.ts"
import type { Plain, SignalOptions } from "./promised.ts"

/**
 * Options of a tool call with a typed result, in promises. `schema` is a Standard Schema, as Zod, Valibot, ArkType and Effect
 * (`Schema.toStandardSchemaV1`) make them. It validates the structured content, or the JSON of the text of a result without it.
 *
 * @category models
 * @since 0.1.0
 */
export interface StandardCallOptions<A> extends Omit<Plain<CallToolOptions>, "schema">, SignalOptions {
  /**
   * The Standard Schema that validates the result. A result that does not fit, or that the schema throws on, rejects with
   * `InvalidResult`, a tool error with `ToolFailed`.
   */
  readonly schema: StandardSchemaV1<unknown, A>
}

/** The schema among the options of a call. */
export const schemaOf = (options: object | undefined): StandardSchemaV1 | undefined =>
  options === undefined ? undefined : (options as { readonly schema?: StandardSchemaV1 }).schema

/** Validates the result of a call. The tool has run, so a validator that throws, rejects or gives no outcome is a typed failure, too. */
export const validateWith = <E, R>(
  { called, schema, server, tool }: {
    readonly called: Effect.Effect<CallToolResult, E, R>
    readonly schema: StandardSchemaV1
    readonly server: string
    readonly tool: string
  }
): Effect.Effect<unknown, E | SessionError, R> =>
  called.pipe(
    Effect.flatMap((result) => valueToDecode({ result, server, tool })),
    Effect.flatMap((value) =>
      Effect.tryPromise({
        try: () =>
          Promise.resolve(value).then((value) => schema["~standard"].validate(value)).then((outcome) =>
            outcome.issues === undefined
              ? Effect.succeed(outcome.value)
              : Effect.fail(new SessionError({ server, reason: misfit({ tool, issues: outcome.issues }) }))
          ),
        catch: (cause) => brokenSchema({ cause, server, tool })
      })
    ),
    Effect.flatten
  )
