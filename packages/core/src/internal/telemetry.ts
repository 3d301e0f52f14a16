/**
 * Counts and spans, at no cost to those who do not look at them.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { SessionError } from "../SessionError.ts"
import { metrics } from "../Telemetry.ts"

/** What is counted of a server. */
export interface Counts {
  operations: number
  requests: number
  connects: number
  fallbacks: number
}

export const noCounts = (): Counts => ({ operations: 0, requests: 0, connects: 0, fallbacks: 0 })

/** Shows the counts of a server among the metrics, for as long as the scope. */
export const register = (options: {
  readonly server: string
  readonly counts: Counts
  readonly inFlight: () => number
}): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { counts, inFlight, server } = options
    const context = yield* Effect.context<never>()
    const ignored = { update: () => {}, modify: () => {} }
    const counter = (name: keyof Counts) =>
      Metric.registerUnsafe(Metric.withAttributes(metrics[name], { server }), context, {
        get: () => ({ count: counts[name], incremental: true }),
        ...ignored
      })
    yield* Effect.acquireRelease(
      Effect.sync(() => [
        counter("operations"),
        counter("requests"),
        counter("connects"),
        counter("fallbacks"),
        Metric.registerUnsafe(Metric.withAttributes(metrics.inFlight, { server }), context, {
          get: () => ({ value: inFlight() }),
          ...ignored
        })
      ]),
      (registrations) => Effect.sync(() => registrations.forEach((registration) => registration.remove()))
    )
  })

/** Whether anyone looks at spans. */
export const isTraced = (fiber: { readonly getRef: Fiber.Fiber<unknown>["getRef"] }): boolean =>
  fiber.getRef(Tracer.Tracer) !== Tracer.nativeTracer

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
