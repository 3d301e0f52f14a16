/**
 * The keys of remote definitions that say how a server is dialled.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { defaulted, optional } from "./describedKey.ts"
import { boolean, expecting, nonEmptyText, oneOf, secret, text } from "./values.ts"

const expectedProxyUrl = "an http:// or https:// URL without a path"

const proxyUrl = text({ pattern: /^https?:\/\/[^\s/?#]+\/?$/i, expected: expectedProxyUrl }).check(
  Schema.makeFilter(
    (value: string) => Result.isSuccess(Schema.decodeResult(Schema.URLFromString)(value)),
    expecting(expectedProxyUrl)
  )
)

const proxy = Schema.Union([
  oneOf(["environment", "none"]),
  Schema.RedactedFromValue(proxyUrl),
  Schema.Redacted(proxyUrl)
]).annotate(expecting("\"environment\", \"none\", or an http:// or https:// URL without a path"))

const tlsOptions = Schema.Struct({
  ca: Schema.optionalKey(Schema.Union([nonEmptyText, Schema.NonEmptyArray(nonEmptyText)])),
  cert: Schema.optionalKey(nonEmptyText),
  key: Schema.optionalKey(secret(nonEmptyText)),
  serverName: Schema.optionalKey(nonEmptyText)
}).check(Schema.makeFilter(({ cert, key }) => (cert === undefined) === (key === undefined), {
  toJsonSchema: () => ({ dependentRequired: { cert: ["key"], key: ["cert"] } })
})).annotate(expecting(
  "an object with any of ca, cert, key, serverName, each a non-empty string (ca also a list of them, cert with key)"
))

/** Describes `cookies`, a key of the transports over HTTP. */
export const cookies = defaulted(boolean, {
  description:
    "Keeps the cookies that a server over Streamable HTTP or SSE sets, and sends them back with further requests of the same connection. Each connection has its own, up to 50 of 8192 characters in all, which end with it.",
  default: false,
  why: "Some load balancers tell by a cookie which server has the session."
})

/** Describes `proxy`, `tls` and `addresses`. */
export const networkKeys = {
  proxy: defaulted(proxy, {
    description:
      "Selects the HTTP proxy of the server and of its authorization server: the one at a URL, which may hold a user name and a password, that of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (`environment`), or none. The environment's proxy is not used for loopback. The URL is redacted.",
    default: "environment",
    why: "Many networks are reached through a proxy only."
  }),
  tls: optional(tlsOptions, {
    description:
      "Sets certificates for https and wss. `ca` names authorities to trust beside the default ones, `cert` and `key` the certificate and the private key by which the client is known, each as a file in PEM, read at each connect, or as its text. `serverName` is the name that the certificate of the server has to have. `ca` holds for the authorization server and a proxy too, the others for the server alone. The key is redacted. Checks of certificates cannot be switched off: name a certificate that signs itself in `ca`.",
    defaultText: "the authorities of Node, with those of `NODE_EXTRA_CA_CERTS`",
    why: "Servers within a company have an authority of their own."
  }),
  addresses: defaulted(oneOf(["any", "public"]), {
    description:
      "Restricts the addresses to dial: `public` allows only publicly routable addresses, in the URL and from DNS. Names are then resolved here, also where a proxy is used, which itself may have any address.",
    default: "any",
    why: "URLs from other people must not lead into your network."
  })
}
