/**
 * The keys of remote definitions that say how a server is dialled.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { defaulted } from "./describedKey.ts"
import { expecting, oneOf } from "./values.ts"

const proxyUrlExpectation = expecting("an http:// or https:// URL without a path")

const proxyUrl = Schema.String.check(
  Schema.isPattern(/^https?:\/\/[^\s/?#]+\/?$/i, proxyUrlExpectation),
  Schema.makeFilter(
    (value: string) => Result.isSuccess(Schema.decodeResult(Schema.URLFromString)(value)),
    proxyUrlExpectation
  )
)

const proxy = Schema.Union([
  oneOf(["environment", "none"]),
  Schema.RedactedFromValue(proxyUrl),
  Schema.Redacted(proxyUrl)
]).annotate(expecting("\"environment\", \"none\", or an http:// or https:// URL without a path"))

/** Describes `proxy` and `addresses`. */
export const networkKeys = {
  proxy: defaulted(proxy, {
    description:
      "Selects the HTTP proxy of the server and of its authorization server: the one at a URL, which may hold a user name and a password, that of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (`environment`), or none. The environment's proxy is not used for loopback. The URL is redacted.",
    default: "environment",
    why: "Many networks are reached through a proxy only."
  }),
  addresses: defaulted(oneOf(["any", "public"]), {
    description:
      "Restricts the addresses to dial: `public` allows only publicly routable addresses, in the URL and from DNS. Names are then resolved here, also where a proxy is used, which itself may have any address.",
    default: "any",
    why: "URLs from other people must not lead into your network."
  })
}
