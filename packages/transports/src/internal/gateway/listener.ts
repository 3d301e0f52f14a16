/**
 * Listener: the HTTP server of a gateway. Admits requests, and hands those for the endpoint on.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { Admission, Caller } from "./admission.ts"
import type { Refusal } from "./challenges.ts"
import { answerJson } from "./http.ts"

const serverOptions: Http.ServerOptions = {
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 30_000,
  noDelay: true
}

/** How many sockets may be open. */
const maxConnections = 20_000

/** Answers a request. */
type Handle = (request: Http.IncomingMessage, response: Http.ServerResponse) => void

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

/** What a page of an allowed origin may send and read. */
const corsHeaders = {
  "access-control-allow-methods": "GET, POST, DELETE",
  "access-control-allow-headers":
    "authorization, content-type, accept, mcp-session-id, mcp-protocol-version, last-event-id",
  "access-control-expose-headers": "mcp-session-id, www-authenticate",
  "access-control-max-age": "600"
}

/** Why a port cannot be listened on: the error code of the system. */
export class CannotListen {
  readonly _tag = "CannotListen"
  readonly host: string
  readonly port: number
  readonly code: string

  constructor({ error, host, port }: {
    readonly host: string
    readonly port: number
    readonly error: NodeJS.ErrnoException
  }) {
    this.host = host
    this.port = port
    this.code = error.code ?? error.name
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
    response.setHeader("access-control-expose-headers", corsHeaders["access-control-expose-headers"])
    if (request.method === "OPTIONS") {
      response.writeHead(204, corsHeaders).end()
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

const portOf = (server: Http.Server): number | undefined => {
  const address = server.address()
  return typeof address === "object" ? address?.port : undefined
}

/** Listens until the scope closes, which ends what is left of requests and streams. */
export const listen = (options: ListenerOptions): Effect.Effect<Listening, CannotListen, Scope.Scope> =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.callback<Http.Server, CannotListen>((resume) => {
        const server = Http.createServer(serverOptions)
        server.maxConnections = maxConnections
        server.once("error", (error: NodeJS.ErrnoException) => {
          resume(Effect.fail(new CannotListen({ ...options, error })))
        })
        server.listen({ host: options.host, port: options.port }, () => {
          const service = options.serve(portOf(server) ?? options.port)
          server.on("request", (request, response) => handle(service, request, response))
          resume(Effect.succeed(server))
        })
        return Effect.sync(() => server.close())
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    return {
      port: portOf(server) ?? options.port,
      refuseConnections: Effect.sync(() => {
        server.close()
        server.closeIdleConnections()
      })
    }
  })
