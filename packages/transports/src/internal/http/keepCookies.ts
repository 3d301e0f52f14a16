/**
 * Gives each connection a cookie jar of its own: its requests carry the cookies of the jar, which takes those of their responses.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Dispatcher } from "undici"
import type { Dispatching } from "../network/forwarding.ts"
import { CookieJar } from "./cookieJar.ts"
import type { Wire } from "./httpExchange.ts"

/** Passes on what happens to a request, and takes the cookies of its response. */
class CookieHandler implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler
  readonly #onCookies: (headers: ReadonlyArray<string>) => void

  constructor(handler: Dispatcher.DispatchHandler, onCookies: (headers: ReadonlyArray<string>) => void) {
    this.#handler = handler
    this.#onCookies = onCookies
  }

  onRequestStart(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onRequestStart"]>>): void {
    this.#handler.onRequestStart?.(...args)
  }

  onResponseStart(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>): void {
    const [, , { "set-cookie": cookies }] = args
    if (cookies !== undefined) this.#onCookies([cookies].flat())
    this.#handler.onResponseStart?.(...args)
  }

  onResponseData(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseData"]>>): void {
    this.#handler.onResponseData?.(...args)
  }

  onResponseEnd(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseEnd"]>>): void {
    this.#handler.onResponseEnd?.(...args)
  }

  onResponseError(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseError"]>>): void {
    this.#handler.onResponseError?.(...args)
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
const keepCookies = (...[dispatcher, jar]: readonly [Dispatching, CookieJar]): Dispatching => ({
  dispatch: (options, handler) => {
    const url = new URL(options.path, options.origin)
    const cookies = jar.headerFor(url)
    return dispatcher.dispatch(
      cookies === undefined ? options : { ...options, headers: withCookies(options.headers, cookies) },
      new CookieHandler(handler, (headers) => jar.take(headers, url))
    )
  }
})

/** Returns the wire of a new connection, with a jar of its own. */
export const withCookieJar = <W extends Pick<Wire, "dispatcher" | "streams">>(
  ...[wire, url]: readonly [W, string]
): Effect.Effect<W> =>
  Effect.map(Clock.Clock, (clock) => {
    const jar = new CookieJar({
      host: new URL(url).hostname,
      now: () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n),
      timeOfDay: () => clock.currentTimeMillisUnsafe()
    })
    const { dispatcher, streams } = wire
    return { ...wire, dispatcher: keepCookies(dispatcher, jar), streams: keepCookies(streams, jar) }
  })
