/**
 * Page server: the HTTP side of the page.
 *
 * | path                | answers                                                                                          |
 * | ------------------- | ------------------------------------------------------------------------------------------------ |
 * | `/ui`               | the page; its script and its style are `/ui/app.js` and `/ui/app.css`                            |
 * | `POST /ui/api/enter`| opens a page session: for a bearer token, or without tokens for the secret of the link            |
 * | `POST /ui/api/leave`| ends it                                                                                          |
 * | `GET /ui/events`    | the event stream; a new one begins with a snapshot                                               |
 * | `POST /ui/api/…`    | an action ({@link actions})                                                                      |
 *
 * The page itself contains no data. Everything else needs the cookie of a page session, its token, and the same origin. A page of another origin or port, and another user of
 * this machine, have none of these. The Content-Security-Policy allows only the three files.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Caller } from "../gateway/admission/admission.ts"
import { ownPaths } from "../gateway/gatewayOptions.ts"
import { answerJson, onClosed, readBody } from "../gateway/http/http.ts"
import { excessOf } from "../jsonRpc/jsonBounds.ts"
import { actions, type Asked } from "./actions.ts"
import { html, script, style } from "./assets.ts"
import { Feed, type FeedOptions } from "./feed.ts"
import { lifetime, Link, type PageSession, PageSessions } from "./pageSessions.ts"

/** The path of the page. All other paths are below it. */
const pagePath = ownPaths.page

const enterPath = `${pagePath}/api/enter`
const leavePath = `${pagePath}/api/leave`

/** The largest body of an action, in bytes. */
const bodyLimit = 1024 ** 2

/** The maximum number of concurrent actions of a page session. */
const actionLimit = 16

const pageHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

const files: ReadonlyMap<string, { readonly type: string; readonly text: string }> = new Map([
  [`${pagePath}/app.js`, { type: "text/javascript; charset=utf-8", text: script }],
  [`${pagePath}/app.css`, { type: "text/css; charset=utf-8", text: style }]
])

type Handle = (request: IncomingMessage, response: ServerResponse) => void

export interface PageOptions extends Pick<FeedOptions, "backend" | "now" | "streams"> {
  /** Milliseconds since the epoch. */
  readonly timeOfDay: () => number
  /** Whether requests need no token. Then a link with a secret opens the page. */
  readonly isAnonymous: boolean
  /** Receives the URL that opens the page: at the start, and the next one each time that a URL was used. */
  readonly onUrl: (url: string) => Effect.Effect<void>
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

const answer = (response: ServerResponse, status: number, value: unknown): void =>
  answerJson(response, { status, headers: pageHeaders, body: JSON.stringify(value) })

const refuse = (response: ServerResponse, status: number, error: string): void => answer(response, status, { error })

const headerOf = ({ headers }: IncomingMessage, name: string): string | undefined => {
  const value = headers[name]
  return Predicate.isString(value) ? value : undefined
}

/** Whether the page itself has sent a request. Browsers send the origin with each POST. */
const isSameOrigin = (request: IncomingMessage): boolean => {
  const origin = URL.parse(request.headers.origin ?? "")
  return origin !== null && origin.origin === request.headers.origin && origin.host === request.headers.host
}

const isPost = (request: IncomingMessage, response: ServerResponse): boolean => {
  if (request.method !== "POST") response.writeHead(405, { ...pageHeaders, allow: "POST" }).end()
  else if (!isSameOrigin(request)) refuse(response, 403, "the request comes from another origin")
  else return true
  return false
}

export class PageServer {
  readonly #options: PageOptions
  readonly #sessions: PageSessions
  readonly #link = new Link()
  readonly #running = new Map<PageSession, number>()
  readonly feed: Feed
  readonly #page: { readonly type: string; readonly text: string }
  #url = ""
  #cookie = ""

  constructor(options: PageOptions) {
    this.#options = options
    this.#sessions = new PageSessions(options.now)
    this.#page = {
      type: "text/html; charset=utf-8",
      text: options.isAnonymous ? html : html.replace("data-entry=\"link\"", "data-entry=\"token\"")
    }
    this.feed = new Feed({ ...options, onTurn: () => this.#sessions.sweep() })
  }

  /** The path with authenticated requests, and its handler. */
  readonly enter = {
    path: enterPath,
    handle: ({ expiresAt, principal }: Caller, request: IncomingMessage, response: ServerResponse): void => {
      withoutCors(response)
      if (!isPost(request, response)) return
      request.resume()
      if (this.#options.isAnonymous) {
        if (!this.#link.redeem(headerOf(request, "x-page-link") ?? "")) {
          return refuse(response, 401, "the link was already used, or is not the latest one")
        }
        this.#announce()
      }
      // A session that an access token opened ends when the token expires.
      const endsIn = expiresAt === undefined ? undefined : expiresAt - this.#options.timeOfDay()
      const { cookie, token } = this.#sessions.open(principal, endsIn)
      response.setHeader("set-cookie", this.#cookieOf(cookie, lifetime / 1000))
      answer(response, 200, { token })
    }
  }

  /** The header of the cookie. With an https URL, browsers send it only over TLS. */
  #cookieOf(value: string, maxAge: number): string {
    const attributes = `Path=${pagePath}; Max-Age=${maxAge}; HttpOnly; SameSite=Strict`
    return `${this.#cookie}=${value}; ${attributes}${this.#url.startsWith("https:") ? "; Secure" : ""}`
  }

  /** Announces the URL of the page. `port` distinguishes the cookies of several pages of one host. */
  start({ origin, port }: { readonly origin: string; readonly port: number }): void {
    this.#url = `${origin}${pagePath}`
    this.#cookie = `mcp-sessions-${port}`
    this.#announce()
  }

  /** Returns the handler of a path that needs no bearer token; `undefined` for an unknown path. */
  routeOf(path: string): Handle | undefined {
    if (path !== pagePath && !path.startsWith(`${pagePath}/`)) return undefined
    const handle = this.#handlerOf(path)
    return handle && ((request, response) => {
      withoutCors(response)
      handle(request, response)
    })
  }

  #handlerOf(path: string): Handle | undefined {
    const file = path === pagePath ? this.#page : files.get(path)
    if (file !== undefined) return (request, response) => this.#file(file, request, response)
    if (path === `${pagePath}/events`) return (request, response) => this.#events(request, response)
    if (path === leavePath) return (request, response) => this.#leave(request, response)
    const name = path.startsWith(`${pagePath}/api/`) ? path.slice(`${pagePath}/api/`.length) : ""
    return actions.has(name) ? (request, response) => this.#act(name, request, response) : undefined
  }

  #announce(): void {
    const { fork, isAnonymous, onUrl } = this.#options
    // Browsers do not send the part after #.
    fork(onUrl(isAnonymous ? `${this.#url}#${this.#link.renew()}` : this.#url))
  }

  #find(request: IncomingMessage, token: string | undefined): PageSession | undefined {
    const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="))
    const [, cookie] = pairs.find(([name]) => name === this.#cookie) ?? []
    return this.#sessions.find(cookie, token)
  }

  #file(
    { text, type }: { readonly type: string; readonly text: string },
    request: IncomingMessage,
    response: ServerResponse
  ): void {
    if (request.method !== "GET") response.writeHead(405, { ...pageHeaders, allow: "GET" }).end()
    else response.writeHead(200, { ...pageHeaders, "content-type": type }).end(text)
  }

  #events(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "GET") return void response.writeHead(405, { ...pageHeaders, allow: "GET" }).end()
    const site = headerOf(request, "sec-fetch-site")
    if (site !== undefined && site !== "same-origin") {
      return refuse(response, 403, "the request comes from another origin")
    }
    const token = new URLSearchParams((request.url ?? "").split("?").slice(1).join("?")).get("token") ?? undefined
    const session = this.#find(request, token)
    if (session === undefined) return refuse(response, 401, "the page has to be opened again")
    if (this.feed.open(session, response)) return
    const error = "too many pages are open"
    answerJson(response, {
      status: 429,
      headers: { ...pageHeaders, "retry-after": "5" },
      body: JSON.stringify({ error })
    })
  }

  #leave(request: IncomingMessage, response: ServerResponse): void {
    const session = this.#admit(request, response)
    if (session === undefined) return
    request.resume()
    this.#sessions.end(session)
    response.setHeader("set-cookie", this.#cookieOf("", 0))
    answer(response, 200, {})
  }

  /** Returns the session of a request that may change state, or refuses the request. */
  #admit(request: IncomingMessage, response: ServerResponse): PageSession | undefined {
    if (!isPost(request, response)) return undefined
    const session = this.#find(request, headerOf(request, "x-page-token"))
    if (session === undefined) refuse(response, 401, "the page has to be opened again")
    return session
  }

  #act(name: string, request: IncomingMessage, response: ServerResponse): void {
    const session = this.#admit(request, response)
    if (session === undefined) return
    if (!/^application\/json\s*(?:;|$)/i.test(headerOf(request, "content-type") ?? "")) {
      return refuse(response, 415, "the body has to be application/json")
    }
    readBody({
      request,
      limit: bodyLimit,
      done: (text) => {
        const body = text === undefined ? undefined : bodyOf(text)
        if (body === undefined) refuse(response, 400, "the body is not a JSON object, or is too large")
        else this.#run({ name, session, response, body })
      }
    })
  }

  #run({ body, name, response, session }: {
    readonly name: string
    readonly session: PageSession
    readonly response: ServerResponse
    readonly body: Asked["body"]
  }): void {
    const running = this.#running.get(session) ?? 0
    const action = actions.get(name)
    if (action === undefined || running >= actionLimit) return refuse(response, 429, "too many actions at a time")
    this.#running.set(session, running + 1)
    const { backend, fork, now } = this.#options
    const { principal } = session
    const fiber = fork(action({ backend, principal, body, now, detach: (effect) => void fork(effect) }))
    onClosed(response, () => {
      if (!response.writableEnded) fiber.interruptUnsafe()
    })
    fiber.addObserver((exit) => {
      const others = (this.#running.get(session) ?? 1) - 1
      if (others === 0) this.#running.delete(session)
      else this.#running.set(session, others)
      if (response.destroyed) return
      if (Exit.isSuccess(exit)) return answer(response, 200, exit.value)
      const failure = Exit.findErrorOption(exit)
      if (failure._tag === "Some") return refuse(response, failure.value.status, failure.value.description)
      if (!Exit.hasInterrupts(exit)) fork(Effect.logError(`the page failed to ${name}`, exit.cause))
      refuse(response, 500, "the action failed")
    })
  }
}

/** Removes the CORS headers: pages of other origins must not read responses, even if they may use the endpoint. */
const withoutCors = (response: ServerResponse): void => {
  for (const name of response.getHeaderNames()) if (name.startsWith("access-control-")) response.removeHeader(name)
}

const bodyOf = (text: string): Asked["body"] | undefined => {
  if (excessOf(text) !== undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Predicate.isObject(value) && !Array.isArray(value) ? value as Asked["body"] : undefined
  } catch {
    return undefined
  }
}
