/**
 * Routes: the paths of a gateway, which are that of the endpoint and those for the programs that watch it.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type { Endpoint } from "./endpoint.ts"
import { ownPaths } from "./gatewayOptions.ts"
import { answerJson } from "./http.ts"
import type { ListenerOptions, Route } from "./listener.ts"

/** Returns the handler of a path. */
export const routes = (options: {
  readonly endpoint: Endpoint
  readonly path: string
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}): ListenerOptions["routeOf"] => {
  const { endpoint, fork, path } = options
  const health: Route = (_, __, response) => answerJson(response, { status: 200, body: "{\"status\":\"ok\"}" })
  const ready: Route = (_, __, response) =>
    endpoint.isDraining
      ? answerJson(response, { status: 503, body: "{\"status\":\"stopping\"}" })
      : answerJson(response, { status: 200, body: "{\"status\":\"ok\"}" })
  const metrics: Route = (_, __, response) => {
    fork(PrometheusMetrics.format()).addObserver((exit) => {
      const text = exit._tag === "Success" ? exit.value : ""
      response.writeHead(exit._tag === "Success" ? 200 : 500, {
        "content-type": "text/plain; version=0.0.4; charset=utf-8"
      }).end(text)
    })
  }
  const byPath = new Map<string, { readonly handle: Route; readonly isPublic?: boolean }>([
    [path, { handle: (principal, request, response) => endpoint.handle(principal, request, response) }],
    [ownPaths.health, { handle: health, isPublic: true }],
    [ownPaths.ready, { handle: ready, isPublic: true }],
    [ownPaths.metrics, { handle: metrics }]
  ])
  return (wanted) => byPath.get(wanted)
}
