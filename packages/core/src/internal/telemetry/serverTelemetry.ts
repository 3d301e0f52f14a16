/**
 * Telemetry of one server: its counters, gauges and durations, shared by all layers that know a server by that name and export to the same
 * registry of metrics.
 *
 * Counters stay when a layer ends, because an exporter reads them later. The number of servers that are kept is bounded.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { ServerConfig } from "../../ServerConfig.ts"
import type { Reason, SessionError } from "../../SessionError.ts"
import { attributes as names, metrics } from "../../Telemetry.ts"
import { networkAttributes } from "./attributes.ts"
import { Durations } from "./durations.ts"
import { Histogram } from "./histogram.ts"
import { type Attributes, showCounter, showGauge, showHistogram } from "./registerMetrics.ts"

/** What is counted. */
export type CounterName = Exclude<keyof typeof metrics, GaugeName | "operationDuration" | "sessionDuration">

/** What is measured when an exporter asks. */
export type GaugeName = "inFlight" | "openCircuits" | "poolLeased" | "poolSessions" | "poolWaiting"

/** A gauge shows the sum over all that measure it. */
interface Gauge {
  readonly reads: Set<() => number>
  readonly remove: () => void
}

/** Reasons of requests that were refused here, before they were sent. */
const refusals: ReadonlySet<string> = new Set<Reason["_tag"]>([
  "QueueFull",
  "RateLimited",
  "ServerDown",
  "ServerEjected"
])

/** How many servers of one registry are kept after their layers have ended. */
const maxServers = 1000

export class ServerTelemetry {
  readonly #server: string
  readonly #context: Context.Context<never>
  readonly #counts = new Map<CounterName, { count: number }>()
  readonly #durations = new Map<string, Durations>()
  readonly #gauges = new Map<GaugeName, Gauge>()
  readonly #shown = new Set<() => void>()

  constructor(server: string, context: Context.Context<never>) {
    this.#server = server
    this.#context = context
  }

  /** Whether a layer uses it. */
  get isUsed(): boolean {
    return this.#gauges.size > 0
  }

  /** Counts an event. */
  count(name: CounterName): void {
    const known = this.#counts.get(name)
    if (known !== undefined) {
      known.count++
      return
    }
    const counted = { count: 1 }
    this.#counts.set(name, counted)
    this.#shown.add(
      showCounter({
        metric: metrics[name],
        attributes: this.#attributes,
        context: this.#context,
        read: () => counted.count
      }).remove
    )
  }

  /** Counts a failure of a request that was refused here, before it was sent. */
  readonly countRefusal = ({ reason }: SessionError): Effect.Effect<void> =>
    Effect.sync(() => {
      if (refusals.has(reason._tag)) this.count("refused")
    })

  /** The durations of a definition and a revision. */
  durations(config: ServerConfig, protocolVersion: string): Durations {
    const attributes = {
      ...this.#attributes,
      ...networkAttributes(config),
      [names.protocolVersion.name]: protocolVersion
    }
    const key = JSON.stringify(attributes)
    const known = this.#durations.get(key)
    if (known !== undefined) return known
    const durations = new Durations((kind, more) => {
      const histogram = new Histogram()
      const shown = showHistogram({
        metric: metrics[kind],
        attributes: { ...attributes, ...more },
        context: this.#context,
        histogram
      })
      this.#shown.add(shown.remove)
      return histogram
    })
    this.#durations.set(key, durations)
    return durations
  }

  /** Measures a number for as long as the scope. */
  measure(name: GaugeName, read: () => number): Effect.Effect<void, never, Scope.Scope> {
    return Effect.asVoid(
      Effect.acquireRelease(Effect.sync(() => this.#measure(name, read)), (end) => Effect.sync(end))
    )
  }

  /** Removes all series. */
  forget(): void {
    for (const remove of this.#shown) remove()
  }

  get #attributes(): Attributes {
    return { [names.server.name]: this.#server }
  }

  /** Returns the end of the measurement. */
  #measure(name: GaugeName, read: () => number): () => void {
    const gauge = this.#gauges.get(name) ?? this.#showGauge(name)
    this.#gauges.set(name, gauge)
    gauge.reads.add(read)
    return () => {
      gauge.reads.delete(read)
      if (gauge.reads.size > 0) return
      gauge.remove()
      this.#gauges.delete(name)
    }
  }

  #showGauge(name: GaugeName): Gauge {
    const reads = new Set<() => number>()
    const sum = () => Array.from(reads, (read) => read()).reduce((total, one) => total + one, 0)
    const { remove } = showGauge({
      metric: metrics[name],
      attributes: this.#attributes,
      context: this.#context,
      read: sum
    })
    return { reads, remove }
  }
}

const registries = new WeakMap<object, Map<string, ServerTelemetry>>()

/** The telemetry of a server in the registry of metrics of a context. It is kept while something is measured of it. */
export const telemetryOf = (server: string, context: Context.Context<never>): ServerTelemetry => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const servers = registries.get(registry) ?? new Map<string, ServerTelemetry>()
  registries.set(registry, servers)
  const known = servers.get(server)
  if (known !== undefined) return known
  if (servers.size >= maxServers) forgetOldest(servers)
  // The rest of the context ends with the layer.
  const attributes = Context.get(context, Metric.CurrentMetricAttributes)
  const telemetry = new ServerTelemetry(
    server,
    Context.add(Context.make(Metric.MetricRegistry, registry), Metric.CurrentMetricAttributes, attributes)
  )
  servers.set(server, telemetry)
  return telemetry
}

const forgetOldest = (servers: Map<string, ServerTelemetry>): void => {
  for (const [server, telemetry] of servers) {
    if (telemetry.isUsed) continue
    telemetry.forget()
    servers.delete(server)
    return
  }
}
