/**
 * `_meta` that passes through the gateway: what a client sends with a request is sent on to the server, without the keys that concern one hop.
 *
 * The trace context is forwarded as well: spans of the gateway are children of the client's span, and the server receives the innermost span.
 *
 * @see https://modelcontextprotocol.io/community/seps/414-request-meta
 */
import { CurrentTraceContext, fromTraceparent } from "@mcp-sessions/core/Telemetry"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"

type Meta = Readonly<Record<string, unknown>>

/** The prefix of protocol keys, which are not forwarded. */
const protocolPrefix = "io.modelcontextprotocol/"

/** The keys of the trace context. */
const traceKeys: ReadonlySet<string> = new Set(["traceparent", "tracestate", "baggage"])

/** Keys that may hold a secret, or name a session. They are meant for the gateway and not for the server. */
const secret = /auth(?!ors?(?![a-z]))|token|secret|credential|cookie|passw|api[-_.]?key|session/i

const isPassed = (key: string): boolean => !key.startsWith(protocolPrefix) && !traceKeys.has(key) && !secret.test(key)

const metaOf = (params: Meta): Meta => (Predicate.isObject(params._meta) ? params._meta as Meta : {})

/** Returns the forwarded keys of `_meta` without the trace context; `undefined` if no key is left. */
export const passedMeta = (params: Meta): Meta | undefined => {
  if (params._meta === undefined) return undefined
  const passed = Object.entries(metaOf(params)).filter(([key]) => isPassed(key))
  return passed.length === 0 ? undefined : Object.fromEntries(passed)
}

const textOf = (value: unknown): string | undefined => Predicate.isString(value) ? value : undefined

/** Whether a client names a span of its own. */
export const isBelowClient = (params: Meta): boolean => metaOf(params).traceparent !== undefined

/** Runs what a request causes below the span that its client names. */
export const belowClient = <A, E>(params: Meta, effect: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  const { baggage, traceparent, tracestate } = metaOf(params)
  const span = traceparent === undefined ? undefined : fromTraceparent(traceparent)
  return span === undefined ? effect : effect.pipe(
    Effect.provideService(CurrentTraceContext, { tracestate: textOf(tracestate), baggage: textOf(baggage) }),
    Effect.withParentSpan(span)
  )
}
