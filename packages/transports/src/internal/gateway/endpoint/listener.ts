/**
 * Listener: the HTTP server of a gateway. Admits requests, and hands those for the endpoint on.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { Admission, Caller } from "../admission/admission.ts"
import type { Refusal } from "../admission/challenges.ts"
import { answerJson } from "../http/http.ts"
import { type CannotListen, type Handle, openServer } from "../http/httpServer.ts"

const serverOptions: Http.ServerOptions = {
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 30_000,
  noDelay: true
}

/** How many sockets may be open. */
const maxConnections = 20_000

/** The handler of a path, and the requests that reach it. */
export type Route =
  /** Only authenticated requests. */
  | { readonly _tag: "Guarded"; readonly handle: (caller: Caller, ...exchange: Parameters<Handle>) => void }
  /** All requests, also without a token. */
  | { readonly _tag: "Public"; readonly handle: Handle }
  /** All requests, also of pages of any origin. The handler writes the headers of CORS. */
  | { readonly _tag: "AnyOrigin"; readonly handle: Handle }

/** Admission and routes of a listener. */
export interface Service {
  readonly admission: Admission
  /** The route of a path; `undefined` if there is nothing. */
  readonly routeOf: (path: string) => Route | undefined
}

export interface ListenerOptions {
  readonly host: string
  readonly port: number
  /** Makes the service of a listener once its port is known. */
  readonly serve: (port: number) => Service
}

/** A gateway that listens. */
export interface Listening {
  readonly port: number
  /** Accepts no more connections. */
  readonly refuseConnections: Effect.Effect<void>
}

const nothingHere = JSON.stringify({ error: "nothing is at this path; clients connect to the URL of the endpoint" })

const exposedHeaders = "mcp-session-id, www-authenticate, retry-after"

/** The headers that a page of an allowed origin may send, beside those of parameters. */
const allowedHeaders = [
  "authorization",
  "content-type",
  "accept",
  "mcp-session-id",
  "mcp-protocol-version",
  "mcp-method",
  "mcp-name",
  "last-event-id",
  "traceparent",
  "tracestate",
  "baggage"
]

/** The name of a header that repeats a parameter of a tool, in revision 2026-07-28. No wildcard can allow these. */
const paramHeader = /^mcp-param-[\w!#$%&'*+.^`|~-]+$/

/** The headers of the response to a preflight. */
const preflightHeaders = ({ headers }: Http.IncomingMessage): Http.OutgoingHttpHeaders => {
  const asked = (headers["access-control-request-headers"] ?? "").toLowerCase().split(",")
  const params = asked.map((name) => name.trim()).filter((name) => paramHeader.test(name))
  return {
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": [...allowedHeaders, ...params].join(", "),
    "access-control-max-age": "600",
    vary: "origin, access-control-request-headers"
  }
}

const refuse = (response: Http.ServerResponse, { description, headers, status }: Refusal): void =>
  answerJson(response, { status, headers, body: JSON.stringify({ error: description }) })

const handle = (
  { admission, routeOf }: Service,
  request: Http.IncomingMessage,
  response: Http.ServerResponse
): void => {
  const otherHost = admission.refusesHost(request)
  if (otherHost !== undefined) return refuse(response, otherHost)
  const { url = "" } = request
  const query = url.indexOf("?")
  const route = routeOf(query === -1 ? url : url.slice(0, query))
  if (route?._tag === "AnyOrigin") return route.handle(request, response)
  const otherOrigin = admission.refusesOrigin(request)
  if (otherOrigin !== undefined) return refuse(response, otherOrigin)
  const { origin } = request.headers
  if (origin !== undefined) {
    response.setHeader("access-control-allow-origin", origin)
    response.setHeader("vary", "origin")
    response.setHeader("access-control-expose-headers", exposedHeaders)
    if (request.method === "OPTIONS") {
      response.writeHead(204, preflightHeaders(request)).end()
      return
    }
  }
  if (route === undefined) return answerJson(response, { status: 404, body: nothingHere })
  if (route._tag === "Public") return route.handle(request, response)
  admission.authenticate(request, (verdict) => {
    // The client has gone while its token was verified.
    if (response.destroyed) return
    if ("principal" in verdict) route.handle(verdict, request, response)
    else refuse(response, verdict)
  })
}

/** Listens until the scope closes. Then remaining requests and streams end. */
export const listen = ({ host, port, serve }: ListenerOptions): Effect.Effect<Listening, CannotListen, Scope.Scope> =>
  Effect.map(
    openServer({
      host,
      port,
      maxConnections,
      make: () => Http.createServer(serverOptions),
      handlerOf: (port) => {
        const service = serve(port)
        return (request, response) => handle(service, request, response)
      }
    }),
    ({ port, server }) => ({
      port,
      refuseConnections: Effect.sync(() => {
        server.close()
        server.closeIdleConnections()
      })
    })
  )
