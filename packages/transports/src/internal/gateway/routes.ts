/**
 * Routes: the paths of a gateway, which are that of the endpoint and those for the programs that watch it.
 */
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Fork } from "../scopedFork.ts"
import type { Caller } from "./admission/admission.ts"
import type { Endpoint } from "./endpoint/endpoint.ts"
import type { Route, Service } from "./endpoint/listener.ts"
import { ownPaths } from "./gatewayOptions.ts"
import { settled } from "./http/defects.ts"
import { answerFailure, answerJson } from "./http/http.ts"
import type { ResourceMetadata } from "./http/resourceMetadata.ts"

/** The dashboard page. */
interface Page {
  /** The path whose requests have to be authenticated. */
  readonly enter: {
    readonly path: string
    readonly handle: (caller: Caller, request: IncomingMessage, response: ServerResponse) => void
  }
  /** The handler of a path that authenticates requests itself; `undefined` if there is nothing. */
  routeOf(path: string): ((request: IncomingMessage, response: ServerResponse) => void) | undefined
}

/** Returns the handler of a path. */
export const routes = (options: {
  readonly endpoint: Endpoint
  readonly path: string
  /** Whether it is known where sessions are. */
  readonly isReady: () => boolean
  /** What clients learn about tokens; `undefined`: nothing. */
  readonly metadata: ResourceMetadata | undefined
  /** The page of the gateway, if it has one. */
  readonly page: Page | undefined
  readonly fork: Fork
}): Service["routeOf"] => {
  const { endpoint, fork, isReady, metadata, page, path } = options
  const health = (_: IncomingMessage, response: ServerResponse): void =>
    answerJson(response, { status: 200, body: "{\"status\":\"ok\"}" })
  const ready = (_: IncomingMessage, response: ServerResponse): void =>
    endpoint.isDraining
      ? answerJson(response, { status: 503, body: "{\"status\":\"stopping\"}" })
      : !isReady()
      ? answerJson(response, { status: 503, body: "{\"status\":\"starting\"}" })
      : answerJson(response, { status: 200, body: "{\"status\":\"ok\"}" })
  const metrics = (_: Caller, __: IncomingMessage, response: ServerResponse): void => {
    settled({ fork, doing: "write the metrics", onFailure: (error) => answerFailure(response, error) }, {
      effect: PrometheusMetrics.format(),
      onValue: (text) =>
        void response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text)
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
  if (page !== undefined) byPath.set(page.enter.path, { _tag: "Guarded", handle: page.enter.handle })
  return (wanted) => {
    const known = byPath.get(wanted)
    const handle = known === undefined ? page?.routeOf(wanted) : undefined
    return handle === undefined ? known : { _tag: "Public", handle }
  }
}
