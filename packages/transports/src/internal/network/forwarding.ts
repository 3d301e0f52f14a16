/**
 * Addresses requests of plain HTTP to a proxy, which forwards them.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#name-absolute-form
 */
import { ProxyFailed } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import type { buildConnector as BuildConnector, Dispatcher } from "undici"
import { networkCodeOf } from "./networkFailure.ts"
import type { Proxy } from "./proxy.ts"
import { buildConnector } from "./undici.ts"

/** Sends requests and reports what becomes of them. */
export type Dispatching = {
  readonly dispatch: (
    options: {
      readonly origin: string
      readonly path: string
      readonly method: Dispatcher.HttpMethod
      /** Names and values in turn. */
      readonly headers: Array<string>
      readonly body: string | null
    },
    handler: Dispatcher.DispatchHandler
  ) => boolean
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

/** Makes requests go to a proxy over the connections of a dispatcher. */
export const forwardTo = (...[dispatcher, proxy]: readonly [Dispatching, Proxy]): Dispatching => {
  const credentials = proxy.authorization === undefined ? [] : ["proxy-authorization", proxy.authorization]
  return {
    dispatch: (options, handler) => {
      const { headers, origin, path } = options
      const host = ["host", new URL(origin).host]
      return dispatcher.dispatch(
        { ...options, origin: proxy.origin, path: origin + path, headers: [...headers, ...host, ...credentials] },
        handler
      )
    }
  }
}
