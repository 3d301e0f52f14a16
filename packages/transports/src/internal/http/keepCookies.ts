/**
 * Gives each connection a cookie jar of its own: its requests carry the cookies of the jar, which takes those of their responses.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { HttpConnections, HttpController, HttpHandler, HttpHead } from "../../HttpClient.ts"
import { ForwardingHandler } from "../network/forwardingHandler.ts"
import { CookieJar } from "./cookieJar.ts"

/** Passes on what becomes of a request, and takes the cookies of its response. */
class CookieHandler extends ForwardingHandler {
  readonly #onCookies: (headers: ReadonlyArray<string>) => void

  constructor(handler: HttpHandler, onCookies: (headers: ReadonlyArray<string>) => void) {
    super(handler)
    this.#onCookies = onCookies
  }

  override onResponseStart(controller: HttpController, status: number, headers: HttpHead["headers"]): void {
    const { "set-cookie": cookies } = headers
    if (cookies !== undefined) this.#onCookies([cookies].flat())
    super.onResponseStart(controller, status, headers)
  }
}

/** Adds cookies to headers, names and values in turn. A request may carry one `Cookie` header only. */
const withCookies = (...[headers, cookies]: readonly [ReadonlyArray<string>, string]): Array<string> => {
  const at = headers.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === "cookie")
  return at < 0
    ? [...headers, "cookie", cookies]
    : headers.map((text, index) => index === at + 1 ? `${text}; ${cookies}` : text)
}

/** Makes requests carry the cookies of a jar, and the jar take those of their responses. */
const keepCookies = (...[{ prepare, send }, jar]: readonly [HttpConnections, CookieJar]): HttpConnections => ({
  prepare,
  send: (request, handler) => {
    const url = new URL(request.path, request.origin)
    const cookies = jar.headerFor(url)
    return send(
      cookies === undefined ? request : { ...request, headers: withCookies(request.headers, cookies) },
      new CookieHandler(handler, (headers) => jar.take(headers, url))
    )
  }
})

/** Returns the HTTP connections of a new connection to a server, with a jar of its own. */
export const withCookieJar = (
  ...[connections, url]: readonly [HttpConnections, string]
): Effect.Effect<HttpConnections> =>
  Effect.map(Clock.Clock, (clock) =>
    keepCookies(
      connections,
      new CookieJar({
        host: new URL(url).hostname,
        now: () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n),
        timeOfDay: () => clock.currentTimeMillisUnsafe()
      })
    ))
