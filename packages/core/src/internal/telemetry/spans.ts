/**
 * Spans of operations, at no cost without a tracer.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import type { SessionError } from "../../SessionError.ts"
import { attributes as names } from "../../Telemetry.ts"
import { errorAttributes } from "./attributes.ts"
import { guardTelemetry } from "./guard.ts"

type AnyFiber = Pick<Fiber.Fiber<unknown, unknown>, "cache">

/** Whether the spans of a fiber are exported. */
export const isTraced = ({ cache: { tracer } }: AnyFiber): boolean =>
  tracer !== undefined && tracer !== Tracer.nativeTracer

/** Whether the spans of a context are exported. */
export const isContextTraced = (context: Context.Context<never>): boolean =>
  Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer

/** The end of a span whose effect succeeds with the result of a tool that failed. Nothing of the result is shown. */
class ToolFailed extends Data.TaggedError("tool_error")<{ readonly value: unknown }> {
  override readonly message = "the tool reported an error"
}

/** Whether a result says that the tool failed. */
export const isToolError = (value: unknown): boolean =>
  typeof value === "object" && value !== null && (value as { readonly isError?: unknown }).isError === true

export interface SpanOptions {
  readonly name: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly kind?: Tracer.SpanKind | undefined
  readonly link?: Tracer.AnySpan | undefined
  /** Attributes that are known at the end. */
  readonly atEnd?: (() => Readonly<Record<string, unknown>>) | undefined
}

/** Makes an effect a span that says why it failed, if it did. A result of a tool that failed makes it a failed span, too. */
export const withSpan = <A, R>(
  effect: Effect.Effect<A, SessionError, R>,
  { atEnd, attributes, kind = "internal", link, name }: SpanOptions
): Effect.Effect<A, SessionError, R> => {
  const annotated = effect.pipe(
    Effect.tapError(({ delivery, reason }) =>
      Effect.annotateCurrentSpan({ ...errorAttributes(reason), [names.delivery.name]: delivery })
    ),
    Effect.filterOrElse((value) => !isToolError(value), (value) =>
      Effect.andThen(
        Effect.annotateCurrentSpan(names.errorType.name, "tool_error"),
        Effect.fail(new ToolFailed({ value }))
      )),
    atEnd === undefined ? (self) => self : Effect.ensuring(Effect.suspend(() => Effect.annotateCurrentSpan(atEnd())))
  )
  const spanned = guardTelemetry(Effect.withSpan(annotated, name, {
    attributes: defined(attributes),
    kind,
    links: link === undefined ? [] : [{ span: link, attributes: {} }],
    captureStackTrace: false
  })) as Effect.Effect<A, SessionError | ToolFailed, R>
  return Effect.catchIf(
    spanned,
    (error): error is ToolFailed => error instanceof ToolFailed,
    ({ value }) => Effect.succeed(value as A)
  )
}

const defined = (attributes: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))

/** Links the current span to another one. */
export const linkTo = (span: Tracer.AnySpan | undefined): Effect.Effect<void> =>
  span === undefined
    ? Effect.void
    : Effect.ignore(Effect.map(Effect.currentSpan, (current) => current.addLinks([{ span, attributes: {} }])))
