/**
 * Trace context in messages: `traceparent`, `tracestate` and `baggage` in `params._meta`.
 *
 * @see https://modelcontextprotocol.io/community/seps/414-request-meta
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Tracer from "effect/Tracer"
import { CurrentTraceContext, type TraceContext } from "../../Telemetry.ts"
import { isTraced } from "./spans.ts"

/** What is sent. */
export interface TraceMeta extends TraceContext {
  readonly traceparent: string
}

/** The longest values, in characters, as the recommendations of W3C have them. */
const limits = { tracestate: 512, baggage: 8192 }

const printable = /^[\x20-\x7e]+$/

/** A value that may be sent or was received, if it is sound. */
const sound = (key: keyof typeof limits, value: unknown): string | undefined =>
  typeof value === "string" && value.length <= limits[key] && printable.test(value) ? value : undefined

const isPropagated = ({ annotations }: Tracer.AnySpan): boolean => !Context.get(annotations, Tracer.DisablePropagation)

/**
 * The span that a request is sent below: the current one if it is exported. Otherwise the one of another program that the current one is below:
 * nobody would find a span that only exists here.
 */
const parentOf = (fiber: Pick<Fiber.Fiber<unknown, unknown>, "cache">): Tracer.AnySpan | undefined => {
  const { span } = fiber.cache
  if (span === undefined || !isPropagated(span)) return undefined
  if (isTraced(fiber)) return span
  let above: Tracer.AnySpan | undefined = span
  while (above?._tag === "Span") above = Option.getOrUndefined(above.parent)
  return above
}

/** The trace context that a request of a fiber is sent with. Costs one comparison for a fiber without a span. */
export const traceMetaOf = (fiber: Fiber.Fiber<unknown, unknown>): TraceMeta | undefined => {
  const span = fiber.cache.span === undefined ? undefined : parentOf(fiber)
  if (span === undefined) return undefined
  const given = fiber.getRef(CurrentTraceContext)
  const tracestate = sound("tracestate", given.tracestate)
  const baggage = sound("baggage", given.baggage)
  return {
    traceparent: `00-${span.traceId.padStart(32, "0")}-${span.spanId}-${span.sampled ? "01" : "00"}`,
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(baggage === undefined ? {} : { baggage })
  }
}

/** The trace context that a request of the current fiber is sent with. */
export const currentTraceMeta: Effect.Effect<TraceMeta | undefined> = Effect.withFiber((fiber) =>
  Effect.succeed(traceMetaOf(fiber))
)

/** Adds a trace context to params. A context in the params stays as it is. */
export const withTraceMeta = (
  params: Record<string, unknown> | undefined,
  trace: TraceMeta | undefined
): Record<string, unknown> | undefined => {
  if (trace === undefined) return params
  const given = Predicate.isObject(params?._meta) ? params._meta : undefined
  return given !== undefined && "traceparent" in given
    ? params
    : { ...params, _meta: { ...trace, ...given } }
}
