/**
 * Span of a handler that answers a request of the server.
 *
 * It is below the span that the server names in `_meta`; without one, below the request on whose behalf the server asks. What the handler sends
 * to servers carries the `tracestate` and the `baggage` of the server on.
 *
 * @see https://modelcontextprotocol.io/community/seps/414-request-meta
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { attributes as names, CurrentTraceContext, fromTraceparent } from "@mcp-sessions/core/Telemetry"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"

type Meta = Readonly<Record<string, unknown>> | undefined

const textOf = (meta: Meta, key: string): string | undefined => {
  const value = meta?.[key]
  return typeof value === "string" ? value : undefined
}

const metaOf = (request: OutgoingRequest | undefined): Meta => {
  const meta = request?.params?._meta
  return Predicate.isObject(meta) ? meta as Meta : undefined
}

/** Makes a handler a span. `call` is the request that the server asks on behalf of, as far as that is known. */
export const withHandlerSpan = <A, E extends { readonly code?: number | undefined }>(options: {
  readonly handled: Effect.Effect<A, E>
  readonly server: string
  readonly method: string
  readonly meta: Meta
  readonly call: OutgoingRequest | undefined
}): Effect.Effect<A, E> => {
  const { call, handled, meta, method, server } = options
  const named = fromTraceparent(meta?.traceparent)
  const own = fromTraceparent(metaOf(call)?.traceparent)
  const parent = named ?? own
  const annotated = Effect.tapError(
    handled,
    ({ code }) => Effect.annotateCurrentSpan(names.errorType.name, code === undefined ? "RequestRefused" : String(code))
  )
  const inContext = Effect.provideService(annotated, CurrentTraceContext, {
    tracestate: textOf(meta, "tracestate"),
    baggage: textOf(meta, "baggage")
  })
  return Effect.withSpan(inContext, method, {
    kind: "server",
    attributes: { [names.methodName.name]: method, [names.server.name]: server },
    links: named === undefined || own === undefined ? [] : [{ span: own, attributes: {} }],
    captureStackTrace: false,
    // A handler runs in the context of its connection, and is no part of the connect.
    ...(parent === undefined ? { root: true } : { parent })
  })
}
