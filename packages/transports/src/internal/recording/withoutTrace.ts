/**
 * Params without trace context, which differs from run to run.
 */
import * as Predicate from "effect/Predicate"

/** Removes the trace context from params, and what is empty then. */
export const withoutTrace = (params: unknown): unknown => {
  if (!Predicate.isObject(params)) return params
  const { _meta: meta, ...others } = params as Readonly<Record<string, unknown>>
  if (!Predicate.isObject(meta) || !("traceparent" in meta)) return params
  const { baggage: _, traceparent: __, tracestate: ___, ...rest } = meta as Readonly<Record<string, unknown>>
  if (Object.keys(rest).length > 0) return { ...others, _meta: rest }
  return Object.keys(others).length > 0 ? others : undefined
}
