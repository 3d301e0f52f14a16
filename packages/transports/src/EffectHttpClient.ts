/**
 * Sends the HTTP requests of transports through `HttpClient` of `effect/http`, for programs that have configured one.
 *
 * **Details**
 *
 * Responses are streamed, and read only as fast as the session takes them. An interrupted call aborts its request. Redirects are left to the
 * transport, also with `fetch`. A response that the client fails for its status is read all the same. Requests have no spans of the client,
 * since their URLs and headers may hold credentials; sessions have their own.
 *
 * **Gotchas**
 *
 * A client that retries may run a tool twice: add no retries to it. Proxies, certificates and timeouts of connects are those of the client,
 * not of the definition. `addresses: "public"` is refused, since the client does not check the addresses that names resolve to. A request that
 * fails counts as sent, unless a code of Node or undici says that there was no connection.
 *
 * **Example** (Using fetch)
 *
 * ```ts import.meta.vitest
 * import { EffectHttpClient, Transports } from "@mcp-sessions/transports"
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 *
 * const transports = Transports.layer.pipe(
 *   Layer.provide(EffectHttpClient.layer),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * Layer.isLayer(transports) // => true
 * ```
 *
 * @since 0.1.0
 */
import { BlockedAddress, ConnectionRefused, TransportFailed } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import { constTrue } from "effect/Function"
import * as Cookies from "effect/http/Cookies"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpBody from "effect/http/HttpBody"
import * as EffectClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { HttpClient, type HttpFailure, type HttpRequest, type HttpResponse, make } from "./HttpClient.ts"
import { networkCodeOf } from "./internal/network/networkFailure.ts"

const pairsOf = (flat: ReadonlyArray<string>): ReadonlyArray<readonly [string, string]> =>
  flat.flatMap((name, index) => index % 2 === 0 ? [[name.toLowerCase(), flat[index + 1] ?? ""] as const] : [])

const requestOf = ({ body, headers, method, origin, path }: HttpRequest): HttpClientRequest.HttpClientRequest => {
  const pairs = pairsOf(headers)
  const [, contentType] = pairs.find(([name]) => name === "content-type") ?? []
  const request = HttpClientRequest.make(method)(origin + path, { headers: pairs })
  return body === null ? request : HttpClientRequest.setBody(request, HttpBody.text(body, contentType))
}

/** The failure of a request that got no response. The error of the client itself would show the headers of the request. */
const failureOf = ({ reason }: HttpClientError, address: string): HttpFailure => {
  const cause = "cause" in reason ? reason.cause : undefined
  const { code, isUnreachable } = networkCodeOf({ error: cause })
  return code !== undefined && isUnreachable
    ? new ConnectionRefused({ address, code, cause })
    : new TransportFailed({ description: "the connection failed", code, delivery: "Unknown", cause })
}

const responseOf = (response: HttpClientResponse, address: string): HttpResponse => ({
  status: response.status,
  headers: { ...response.headers, "set-cookie": Cookies.toSetCookieHeaders(response.cookies) },
  body: Stream.mapError(response.stream, (error) => failureOf(error, address))
})

/** Leaves redirects to the transport, which follows none to another origin. */
const withManualRedirects = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Effect.serviceOption(FetchHttpClient.RequestInit),
    (init) =>
      Effect.provideService(effect, FetchHttpClient.RequestInit, {
        ...Option.getOrUndefined(init),
        redirect: "manual"
      })
  )

/**
 * Layer that makes the `HttpClient` of `effect/http` that of all transports above it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, EffectClient.HttpClient> = Layer.effect(
  HttpClient,
  Effect.map(EffectClient.HttpClient, (client) => {
    const scoped = EffectClient.withScope(client)
    return make((request, { addresses }) => {
      const { origin } = request
      if (addresses === "public") return new BlockedAddress({ host: new URL(origin).hostname })
      return scoped.execute(requestOf(request)).pipe(
        Effect.catch((error) =>
          error.response === undefined ? Effect.fail(failureOf(error, origin)) : Effect.succeed(error.response)
        ),
        Effect.map((response) => responseOf(response, origin)),
        Effect.provideService(EffectClient.TracerDisabledWhen, constTrue),
        withManualRedirects
      )
    })
  })
)
