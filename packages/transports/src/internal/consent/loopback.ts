/**
 * Receives one authorization response over HTTP on 127.0.0.1.
 *
 * Any page in the user's browser and any program of this machine can send requests to the port. So only a request for the redirect URL
 * under a name of this machine counts, nothing of a request is shown, and everything is bounded.
 */
import { AuthRequired } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import { type Candidate, isAt, isResponse } from "./redirectUrls.ts"

const limits: Http.ServerOptions = {
  maxHeaderSize: 16_384,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1000,
  keepAlive: false
}
const maxConnections = 16

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  connection: "close"
}

const page = (text: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign-in</title><p>${text}</p></html>\n`

const pages = {
  received: page("The answer of the authorization server was received. You can close this page."),
  refused: page("The authorization server did not grant access. You can close this page."),
  notFound: page("Nothing is here."),
  forbidden: page("This request is not allowed."),
  malformed: page("This is not an authorization response."),
  over: page("No sign-in waits for an answer.")
}

/** A port that waits for a response. */
export interface Loopback {
  readonly redirectUrl: string
  /** Waits for the first response from now on. */
  readonly response: Effect.Effect<URL>
}

/** Whether a page of a browser asks for a part of itself, such as an image or the data of a script. Programs do not send the site. */
const isEmbedded = (headers: Http.IncomingHttpHeaders): boolean =>
  headers["sec-fetch-site"] !== undefined && headers["sec-fetch-mode"] !== "navigate"

interface Verdict {
  readonly status: number
  readonly page: string
  readonly response?: URL
}

/** Decides what a request is. A page of another site can resolve its own name to this machine, so the name counts, too. */
const judge = (options: {
  readonly method: string | undefined
  readonly target: string | undefined
  readonly host: string | undefined
  readonly isEmbedded: boolean
  readonly redirectUrl: URL
}): Verdict => {
  const { host, isEmbedded, method, redirectUrl, target } = options
  const { port } = redirectUrl
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) return { status: 403, page: pages.forbidden }
  const url = URL.parse(target ?? "", redirectUrl.href)
  if (url === null || !isAt(url, redirectUrl)) return { status: 404, page: pages.notFound }
  if (method !== "GET") return { status: 405, page: pages.forbidden }
  if (isEmbedded) return { status: 403, page: pages.forbidden }
  if (!isResponse(url)) return { status: 400, page: pages.malformed }
  return { status: 200, page: url.searchParams.has("error") ? pages.refused : pages.received, response: url }
}

/** Listens on a port of 127.0.0.1; resolves with the error code of the system if that fails. */
const start = (server: Http.Server, port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException) => resolve(error.code ?? error.name)
    server.once("error", fail)
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      server.off("error", fail)
      server.on("error", () => {})
      resolve(undefined)
    })
  })

const stop = (server: Http.Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })

/** Listens on the first candidate that is free, until the scope closes. */
export const listen = (
  candidates: ReadonlyArray<Candidate>
): Effect.Effect<Loopback, AuthRequired, Scope.Scope> => {
  let redirectUrl = ""
  let resume: ((url: URL) => void) | undefined

  const handle: Http.RequestListener = (request, response) => {
    request.resume()
    const verdict = judge({
      method: request.method,
      target: request.url,
      host: request.headers.host,
      isEmbedded: isEmbedded(request.headers),
      redirectUrl: new URL(redirectUrl)
    })
    const receive = resume
    const { response: url } = verdict
    if (url === undefined || receive === undefined) {
      const { page, status } = url === undefined ? verdict : { status: 410, page: pages.over }
      response.writeHead(status, headers).end(page)
      return
    }
    resume = undefined
    // The scope may close the connection as soon as the response is received, so the page is sent first.
    response.once("close", () => receive(url))
    response.writeHead(verdict.status, headers).end(verdict.page)
  }

  const open = async (): Promise<{ readonly server: Http.Server } | { readonly code: string | undefined }> => {
    let code: string | undefined
    for (const { port, urlOf } of candidates) {
      const server = Http.createServer(limits, handle)
      server.maxConnections = maxConnections
      code = await start(server, port)
      if (code !== undefined) continue
      const address = server.address()
      redirectUrl = urlOf(typeof address === "object" && address !== null ? address.port : port)
      return { server }
    }
    return { code }
  }

  const response = Effect.callback<URL>((done) => {
    resume = (url) => done(Effect.succeed(url))
    return Effect.sync(() => {
      resume = undefined
    })
  })

  return Effect.flatMap(
    Effect.acquireRelease(
      Effect.promise(open),
      (opened) => "server" in opened ? Effect.promise(() => stop(opened.server)) : Effect.void
    ),
    (opened) =>
      "server" in opened
        ? Effect.succeed({ redirectUrl, response })
        : new AuthRequired({
          status: 401,
          description: `no port of 127.0.0.1 can receive the authorization response (${
            opened.code ?? "none was tried"
          })`
        })
  )
}
