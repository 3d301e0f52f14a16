/**
 * Counters and spans, at no cost to those who do not look at them.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { SessionError } from "../SessionError.ts"
import { metrics } from "../Telemetry.ts"

/** What is counted of a server. */
export interface Counters {
  operations: number
  requests: number
  connects: number
  fallbacks: number
  droppedNotifications: number
}

export const noCounters = (): Counters => ({
  operations: 0,
  requests: 0,
  connects: 0,
  fallbacks: 0,
  droppedNotifications: 0
})

/** What is shown of one server: the sum over all sets of sessions that know one by that name. */
interface Shown {
  readonly counters: Counters
  readonly inFlight: () => number
}

interface Server {
  readonly all: Set<Shown>
  readonly registrations: ReadonlyArray<Metric.Registration>
}

const shown = new WeakMap<object, Map<string, Server>>()

const registerAll = (server: string, context: Context.Context<never>): Server => {
  const all = new Set<Shown>()
  const ignored = { update: () => {}, modify: () => {} }
  const sum = (of: (one: Shown) => number) => Array.from(all, of).reduce((total, one) => total + one, 0)
  const counter = (name: keyof Counters) =>
    Metric.registerUnsafe(Metric.withAttributes(metrics[name], { server }), context, {
      get: () => ({ count: sum(({ counters }) => counters[name]), incremental: true }),
      ...ignored
    })
  const names = Object.keys(noCounters()) as ReadonlyArray<keyof Counters>
  const inFlight = Metric.registerUnsafe(Metric.withAttributes(metrics.inFlight, { server }), context, {
    get: () => ({ value: sum(({ inFlight }) => inFlight()) }),
    ...ignored
  })
  return { all, registrations: [...names.map(counter), inFlight] }
}

/** Shows the counters of a server among the metrics, for as long as the scope. */
export const register = (options: Shown & { readonly server: string }): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { server } = options
    const context = yield* Effect.context<never>()
    const registry = Context.get(context, Metric.MetricRegistry)
    const servers = shown.get(registry) ?? new Map<string, Server>()
    shown.set(registry, servers)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const known = servers.get(server) ?? registerAll(server, context)
        servers.set(server, known)
        known.all.add(options)
        return known
      }),
      ({ all, registrations }) =>
        Effect.sync(() => {
          all.delete(options)
          if (all.size > 0) return
          servers.delete(server)
          for (const registration of registrations) registration.remove()
        })
    )
  })

/** Whether anyone looks at spans. */
export const isTraced = (fiber: { readonly getRef: Fiber.Fiber<unknown>["getRef"] }): boolean =>
  fiber.getRef(Tracer.Tracer) !== Tracer.nativeTracer

/** Whether spans of a context are exported. */
export const isContextTraced = (context: Context.Context<never>): boolean =>
  Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer

/** Makes an effect a span that says why it failed, if it did. */
export const withSpan = <A, R>(options: {
  readonly effect: Effect.Effect<A, SessionError, R>
  readonly name: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly kind?: "client" | undefined
  readonly link?: Tracer.AnySpan | undefined
}): Effect.Effect<A, SessionError, R> => {
  const { attributes, effect, kind = "internal", link, name } = options
  const told = Effect.tapError(
    effect,
    ({ delivery, reason }) => Effect.annotateCurrentSpan({ "error.type": reason._tag, "mcp.delivery": delivery })
  )
  const links = link === undefined ? [] : [{ span: link, attributes: {} }]
  return Effect.withSpan(told, name, { attributes, kind, links, captureStackTrace: false }) as Effect.Effect<
    A,
    SessionError,
    R
  >
}
