/**
 * Addresses requests of plain HTTP to a proxy, which forwards them.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#name-absolute-form
 */
import { ProxyFailed } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import type { buildConnector as BuildConnector } from "undici"
import type { HttpController, HttpHandler, HttpHead, HttpRequest } from "../../HttpClient.ts"
import { ForwardingHandler } from "./forwardingHandler.ts"
import { networkCodeOf } from "./networkFailure.ts"
import type { Proxy } from "./proxy.ts"
import { buildConnector } from "./undici.ts"

/** Sends requests and reports what becomes of them. */
export interface Dispatching {
  readonly dispatch: (request: HttpRequest, handler: HttpHandler) => boolean
}

/** Makes the function that opens sockets to a proxy which forwards requests. */
export const connectorTo = (
  ...[{ origin: proxy }, connectTimeout]: readonly [Proxy, Duration.Duration]
): BuildConnector.connector => {
  const connect = buildConnector({ timeout: Duration.toMillis(connectTimeout) })
  return (at, callback) =>
    connect(at, (error, socket) => {
      if (error === null) return callback(null, socket)
      const code = networkCodeOf({ error }).code ?? error.name
      callback(new ProxyFailed({ proxy, code, delivery: "NotSent", cause: error }), null)
    })
}

/** The status of a proxy that wants other credentials. */
const unauthenticated = 407

/** Passes on what becomes of a forwarded request. A refusal of the proxy ends it. */
class ForwardedHandler extends ForwardingHandler {
  readonly #proxy: string
  #isRefused = false

  constructor(handler: HttpHandler, proxy: string) {
    super(handler)
    this.#proxy = proxy
  }

  override onResponseStart(controller: HttpController, status: number, headers: HttpHead["headers"]): void {
    if (status !== unauthenticated) return super.onResponseStart(controller, status, headers)
    this.#isRefused = true
    const refusal = new ProxyFailed({ proxy: this.#proxy, status, delivery: "Rejected" })
    super.onResponseError(controller, refusal)
    controller.abort(refusal)
  }

  override onResponseData(controller: HttpController, chunk: Uint8Array): void {
    if (!this.#isRefused) super.onResponseData(controller, chunk)
  }

  override onResponseEnd(controller: HttpController): void {
    if (!this.#isRefused) super.onResponseEnd(controller)
  }

  override onResponseError(controller: HttpController, error: Error): void {
    if (!this.#isRefused) super.onResponseError(controller, error)
  }
}

/** Makes requests go to a proxy over the connections of a dispatcher. */
export const forwardTo = (...[dispatcher, proxy]: readonly [Dispatching, Proxy]): Dispatching => {
  const credentials = proxy.authorization === undefined ? [] : ["proxy-authorization", proxy.authorization]
  return {
    dispatch: (request, handler) => {
      const { headers, origin, path } = request
      const host = ["host", new URL(origin).host]
      return dispatcher.dispatch(
        { ...request, origin: proxy.origin, path: origin + path, headers: [...headers, ...host, ...credentials] },
        new ForwardedHandler(handler, proxy.origin)
      )
    }
  }
}
