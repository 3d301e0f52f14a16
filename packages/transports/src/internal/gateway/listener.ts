/**
 * Listener: the HTTP server of a gateway. Admits requests, and hands those for the endpoint on.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { Admission } from "./admission.ts"
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

/** Handles an admitted request. */
export type Route = (principal: string, request: Http.IncomingMessage, response: Http.ServerResponse) => void

export interface ListenerOptions {
  readonly host: string
  readonly port: number
  readonly admission: Admission
  /** The handler of a path; `undefined` if there is nothing. */
  readonly routeOf: (path: string) => { readonly handle: Route; readonly isPublic?: boolean } | undefined
}

/** A gateway that listens. */
export interface Listening {
  readonly port: number
  /** Accepts no more connections. */
  readonly refuseConnections: Effect.Effect<void>
}

/** What a page of an allowed origin may send and read. */
const corsHeaders = {
  "access-control-allow-methods": "GET, POST, DELETE",
  "access-control-allow-headers":
    "authorization, content-type, accept, mcp-session-id, mcp-protocol-version, last-event-id",
  "access-control-expose-headers": "mcp-session-id",
  "access-control-max-age": "600"
}

/** Why a gateway does not listen: the error code of the system. */
export class CannotListen {
  readonly code: string
  constructor(code: string) {
    this.code = code
  }
}

const handle = (
  { admission, routeOf }: ListenerOptions,
  request: Http.IncomingMessage,
  response: Http.ServerResponse
): void => {
  const refusal = admission.refuses(request)
  if (refusal !== undefined) {
    return answerJson(response, { status: refusal.status, body: JSON.stringify({ error: refusal.description }) })
  }
  const { origin } = request.headers
  if (origin !== undefined) {
    response.setHeader("access-control-allow-origin", origin)
    response.setHeader("vary", "origin")
    response.setHeader("access-control-expose-headers", "mcp-session-id")
    if (request.method === "OPTIONS") {
      response.writeHead(204, corsHeaders).end()
      return
    }
  }
  const route = routeOf((request.url ?? "").split("?", 1).join())
  if (route === undefined) return answerJson(response, { status: 404, body: "{\"error\":\"nothing is here\"}" })
  const principal = route.isPublic === true ? "" : admission.principal(request)
  if (typeof principal === "string") return route.handle(principal, request, response)
  answerJson(response, {
    status: principal.status,
    body: JSON.stringify({ error: principal.description }),
    headers: { "www-authenticate": "Bearer" }
  })
}

/** Listens until the scope closes, which ends what is left of requests and streams. */
export const listen = (options: ListenerOptions): Effect.Effect<Listening, CannotListen, Scope.Scope> =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.callback<Http.Server, CannotListen>((resume) => {
        const server = Http.createServer(serverOptions, (request, response) => handle(options, request, response))
        server.maxConnections = maxConnections
        server.once("error", (error: NodeJS.ErrnoException) => {
          resume(Effect.fail(new CannotListen(error.code ?? error.name)))
        })
        server.listen({ host: options.host, port: options.port }, () => resume(Effect.succeed(server)))
        return Effect.sync(() => server.close())
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    const address = server.address()
    return {
      port: typeof address === "object" && address !== null ? address.port : options.port,
      refuseConnections: Effect.sync(() => {
        server.close()
        server.closeIdleConnections()
      })
    }
  })
