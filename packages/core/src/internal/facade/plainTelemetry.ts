/**
 * Telemetry of the promise facade.
 */
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { AnySpan } from "effect/Tracer"
import { fromTraceparent } from "../../Telemetry.ts"
import { isPlainObject, optional, type Rule, rulesOf } from "../config/callOptions.ts"
import { aFunction, anything } from "../config/optionRules.ts"

/**
 * Where spans, metrics and logs go, and which span of another library operations belong to.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainTelemetry {
  /** Provides a tracer and loggers, such as `Otlp.layerJson` of `effect/observability`. It lives as long as the sessions. Default: none. */
  readonly layer?: Layer.Layer<never> | undefined
  /**
   * Returns the trace context in which an operation starts, as a `traceparent` of W3C, for example that of the active span of an OpenTelemetry SDK.
   * Called once for each operation. Where it throws or returns anything else, the operation starts a trace of its own.
   */
  readonly traceparent?: (() => string | undefined) | undefined
}

const isTelemetry = (value: unknown): boolean => {
  if (!isPlainObject(value)) return false
  const { layer, traceparent } = value as { readonly [key: string]: unknown }
  return optional(Layer.isLayer)(layer) && aFunction.is(traceparent)
}

/** The rule of the option. */
export const telemetryRule: Rule = {
  is: optional(isTelemetry),
  expected: "an object of a \"layer\" and a function \"traceparent\", both optional",
  members: rulesOf<PlainTelemetry>({ layer: anything, traceparent: anything })
}

/** Returns the span in which an operation starts. The function of the program may throw. */
export const parentOf = (telemetry: PlainTelemetry | undefined): (() => AnySpan | undefined) | undefined => {
  const traceparent = telemetry?.traceparent
  if (!Predicate.isFunction(traceparent)) return undefined
  return () => {
    try {
      return fromTraceparent(traceparent())
    } catch {
      return undefined
    }
  }
}
