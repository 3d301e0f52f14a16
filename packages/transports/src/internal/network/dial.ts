/**
 * Dials the server of a definition: directly or through its proxy, under its address policy, with its certificates.
 *
 * **Details**
 *
 * A policy of public addresses is applied where the name is resolved. So under it names are resolved here, also where a proxy is used, and the
 * proxy gets the address that was checked. The proxy itself is not under the policy: the program or the environment chose it.
 */
import type { RemoteServerOptions, TlsOptions } from "@mcp-sessions/core/ServerConfig"
import { type BlockedAddress, ProxyFailed, TlsFailed } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import process from "node:process"
import { guard } from "./addressPolicy.ts"
import { type Destination, destinationOf } from "./destination.ts"
import { codeOf } from "./pem.ts"
import { type Proxy, proxyFor } from "./proxy.ts"
import { type TlsContexts, tlsContextsOf } from "./tlsContexts.ts"

/** The keys of a definition that say how its server is dialled. */
export interface DialConfig extends Pick<RemoteServerOptions, "addresses" | "connectTimeout" | "proxy"> {
  readonly tls?: TlsOptions | undefined
  readonly url: string
}

/** Why a server is not dialled. */
export type DialError = BlockedAddress | ProxyFailed | TlsFailed

/** How the server of a definition is dialled. */
export interface DialPlan {
  readonly destination: Destination
  /** The proxy to dial through. `undefined`: no proxy applies, or it cannot be used. */
  readonly proxy: Proxy | undefined
  /** The certificates of the definition, if it names any. */
  readonly tls: TlsContexts | undefined
  /** Reads what dialling takes, before each connect, and fails if the server is not to be dialled. */
  readonly prepare: Effect.Effect<void, DialError>
}

export const isProxyFailed = Schema.is(ProxyFailed)
const isTlsFailed = Schema.is(TlsFailed)

const load = (tls: TlsContexts): Effect.Effect<void, TlsFailed> =>
  Effect.tryPromise({
    try: () => tls.load(),
    catch: (error) => isTlsFailed(error) ? error : new TlsFailed({ key: "tls", code: codeOf(error) })
  })

/** Plans how a server is dialled, in the environment of this moment. */
export const planDial = (config: DialConfig): DialPlan => {
  const destination = destinationOf(new URL(config.url))
  const tls = tlsContextsOf(config.tls)
  const proxy = proxyFor({ destination, proxy: config.proxy, env: process.env })
  if (isProxyFailed(proxy)) return { destination, tls, proxy: undefined, prepare: Effect.fail(proxy) }
  const prepare = tls === undefined ? guard(config) : Effect.andThen(guard(config), load(tls))
  return { destination, tls, proxy, prepare }
}
