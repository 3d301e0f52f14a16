/**
 * Registers metrics of Effect that show numbers of this library. An exporter reads them when it asks.
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Histogram } from "./histogram.ts"

/** The attributes of a series. */
export type Attributes = Readonly<Record<string, string>>

interface Registered {
  readonly remove: () => void
}

const ignored = { update: () => {}, modify: () => {} }

/** Shows a counter, until it is removed. */
export const showCounter = (options: {
  readonly metric: Metric.Counter<number>
  readonly attributes: Attributes
  readonly context: Context.Context<never>
  readonly read: () => number
}): Registered => {
  const { attributes, context, metric, read } = options
  const get = () => ({ count: read(), incremental: true })
  return Metric.registerUnsafe(Metric.withAttributes(metric, attributes), context, { get, ...ignored })
}

/** Shows a gauge, until it is removed. */
export const showGauge = (options: {
  readonly metric: Metric.Gauge<number>
  readonly attributes: Attributes
  readonly context: Context.Context<never>
  readonly read: () => number
}): Registered => {
  const { attributes, context, metric, read } = options
  return Metric.registerUnsafe(Metric.withAttributes(metric, attributes), context, {
    get: () => ({ value: read() }),
    ...ignored
  })
}

/** Shows a histogram, until it is removed. Exporters take the unit from the attribute `unit`. */
export const showHistogram = (options: {
  readonly metric: Metric.Histogram<number>
  readonly attributes: Attributes
  readonly context: Context.Context<never>
  readonly histogram: Histogram
}): Registered => {
  const { attributes, context, histogram, metric } = options
  return Metric.registerUnsafe(Metric.withAttributes(metric, { ...attributes, unit: "s" }), context, {
    get: () => histogram.state,
    ...ignored
  })
}
