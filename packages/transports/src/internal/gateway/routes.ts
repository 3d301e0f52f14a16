/**
 * Routes: the paths of a gateway, which are that of the endpoint and those for the programs that watch it.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Caller } from "./admission.ts"
import type { Endpoint } from "./endpoint.ts"
import { ownPaths } from "./gatewayOptions.ts"
import { answerJson } from "./http.ts"
import type { Route, Service } from "./listener.ts"
import type { ResourceMetadata } from "./resourceMetadata.ts"

/** Returns the handler of a path. */
export const routes = (options: {
  readonly endpoint: Endpoint
  readonly path: string
  /** What clients learn about tokens; `undefined`: nothing. */
  readonly metadata: ResourceMetadata | undefined
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}): Service["routeOf"] => {
  const { endpoint, fork, metadata, path } = options
  const health = (_: IncomingMessage, response: ServerResponse): void =>
    answerJson(response, { status: 200, body: "{\"status\":\"ok\"}" })
  const ready = (_: IncomingMessage, response: ServerResponse): void =>
    endpoint.isDraining
      ? answerJson(response, { status: 503, body: "{\"status\":\"stopping\"}" })
      : answerJson(response, { status: 200, body: "{\"status\":\"ok\"}" })
  const metrics = (_: Caller, __: IncomingMessage, response: ServerResponse): void => {
    fork(PrometheusMetrics.format()).addObserver((exit) => {
      const text = exit._tag === "Success" ? exit.value : ""
      response.writeHead(exit._tag === "Success" ? 200 : 500, {
        "content-type": "text/plain; version=0.0.4; charset=utf-8"
      }).end(text)
    })
  }
  const described = metadata?.pathsFor(path).map((path): [string, Route] => [path, {
    _tag: "AnyOrigin",
    handle: (request, response) => metadata.handle(request, response)
  }])
  const byPath = new Map<string, Route>([
    ...(described ?? []),
    [path, {
      _tag: "Guarded",
      handle: (caller, request, response) => endpoint.handle(caller, request, response)
    }],
    [ownPaths.health, { _tag: "Public", handle: health }],
    [ownPaths.ready, { _tag: "Public", handle: ready }],
    [ownPaths.metrics, { _tag: "Guarded", handle: metrics }]
  ])
  return (wanted) => byPath.get(wanted)
}
