/**
 * Which proxy a destination is dialled through: the decision table over variables, lists and keys of the definition.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { Redacted, Schema } from "effect"
import { destinationOf } from "../../../packages/transports/src/internal/network/destination.ts"
import { proxyFor } from "../../../packages/transports/src/internal/network/proxy.ts"

const isProxyFailed = Schema.is(SessionError.ProxyFailed)

/** The proxy of a URL, or the message of a failure. */
const proxyOf = (url: string, env: Readonly<Record<string, string>>, proxy = "environment"): string | undefined => {
  const found = proxyFor({
    destination: destinationOf(new URL(url)),
    proxy: proxy === "environment" || proxy === "none" ? proxy : Redacted.make(proxy),
    env
  })
  return isProxyFailed(found) ? found.message : found?.origin
}

const both = { HTTP_PROXY: "http://plain:1", HTTPS_PROXY: "http://secure:2" }

describe("the proxy of a destination", () => {
  const table: ReadonlyArray<
    readonly [title: string, url: string, env: Readonly<Record<string, string>>, expected: string | undefined]
  > = [
    ["is that of HTTP_PROXY for http", "http://h/mcp", both, "http://plain:1"],
    ["is that of HTTPS_PROXY for https", "https://h/mcp", both, "http://secure:2"],
    ["is that of HTTP_PROXY for ws", "ws://h/mcp", both, "http://plain:1"],
    ["is that of HTTPS_PROXY for wss", "wss://h/mcp", both, "http://secure:2"],
    ["is none for https with HTTP_PROXY alone", "https://h/mcp", { HTTP_PROXY: "http://plain:1" }, undefined],
    ["is that of the lower case first", "http://h", { ...both, http_proxy: "http://lower:3" }, "http://lower:3"],
    ["is none where the lower case is empty", "http://h", { ...both, http_proxy: "" }, undefined],
    ["is not that of HTTP_PROXY in a CGI program", "http://h", { ...both, REQUEST_METHOD: "GET" }, undefined],
    [
      "is that of http_proxy in a CGI program",
      "http://h",
      { http_proxy: "http://a:1", REQUEST_METHOD: "GET" },
      "http://a:1"
    ],
    ["is that of HTTPS_PROXY in a CGI program", "https://h", { ...both, REQUEST_METHOD: "GET" }, "http://secure:2"],
    ["may lack its scheme", "http://h", { HTTP_PROXY: "proxy:3128" }, "http://proxy:3128"],
    ["may be reached over TLS", "http://h", { HTTP_PROXY: "https://proxy" }, "https://proxy"],
    ["shows no credentials", "http://h", { HTTP_PROXY: "http://user:pass@proxy:3128" }, "http://proxy:3128"],
    [
      "must be one of HTTP",
      "https://h",
      { https_proxy: "socks5://u:s3cret@proxy" },
      "https_proxy is not the http:// or https:// URL of a proxy"
    ],
    [
      "must be a URL",
      "http://h",
      { HTTP_PROXY: "http://:x" },
      "HTTP_PROXY is not the http:// or https:// URL of a proxy"
    ],
    ["is none for localhost", "http://localhost:8080", both, undefined],
    ["is none for a name below localhost", "http://app.localhost", both, undefined],
    ["is none for 127.0.0.0/8", "https://127.1.2.3", both, undefined],
    ["is none for ::1", "https://[::1]:8443", both, undefined],
    ["is one for a private address", "http://10.0.0.1", both, "http://plain:1"]
  ]
  it.each(table)("%s", (_, url, env, expected) => {
    assert.strictEqual(proxyOf(url, env), expected)
  })

  it("is the one that the definition names, for loopback and hosts of NO_PROXY too", () => {
    const env = { ...both, NO_PROXY: "*" }
    assert.strictEqual(proxyOf("http://localhost", env, "http://own:9"), "http://own:9")
    assert.strictEqual(proxyOf("https://h", env, "http://user:pass@own:9/"), "http://own:9")
    assert.strictEqual(proxyOf("https://h", both, "none"), undefined)
  })

  it("gets the user name and the password of its URL, decoded", () => {
    const authorizationOf = (text: string) => {
      const destination = destinationOf(new URL("https://h"))
      const found = proxyFor({ destination, proxy: Redacted.make(text), env: {} })
      return isProxyFailed(found) ? undefined : found?.authorization
    }
    const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`
    assert.strictEqual(authorizationOf("http://us%40er:p%3Ass@proxy"), basic("us@er:p:ss"))
    assert.strictEqual(authorizationOf("http://user@proxy"), basic("user:"))
    assert.strictEqual(authorizationOf("http://us%zzer:p@proxy"), basic("us%zzer:p"))
    assert.strictEqual(authorizationOf("http://proxy"), undefined)
  })
})

describe("NO_PROXY", () => {
  const fitting: ReadonlyArray<readonly [list: string, url: string]> = [
    ["*", "http://h"],
    ["none.invalid, *", "http://h"],
    ["example.com", "http://example.com"],
    ["example.com", "http://EXAMPLE.com."],
    ["Example.COM.", "http://example.com"],
    ["example.com", "http://a.b.example.com"],
    [".example.com", "http://example.com"],
    [".example.com", "http://a.example.com"],
    ["*.example.com", "http://a.example.com"],
    ["a b\texample.com", "http://example.com"],
    ["example.com:8080", "http://example.com:8080"],
    ["example.com:80", "http://example.com"],
    ["10.0.0.1", "http://10.0.0.1"],
    ["10.0.0.0/8", "http://10.200.0.1"],
    ["fd00::/8", "http://[fd12::1]"],
    ["[fd12::1]", "http://[fd12::1]"],
    ["fd12::1", "http://[fd12::1]:99"],
    ["[fd12::1]:99", "http://[fd12::1]:99"],
    ["*:80", "http://h"]
  ]
  it.each(fitting)("of %s keeps %s from the proxy", (list, url) => {
    assert.isUndefined(proxyOf(url, { ...both, NO_PROXY: list }))
  })

  const other: ReadonlyArray<readonly [list: string, url: string]> = [
    ["", "http://h"],
    ["example.com", "http://notexample.com"],
    ["example.com", "http://example.com.evil.test"],
    ["*.example.com", "http://example.com"],
    ["example.com:8080", "http://example.com"],
    [".", "http://h"],
    ["*.", "http://h"],
    ["10.0.0.0/8", "http://11.0.0.1"],
    ["10.0.0.0/8", "http://10.example.com"],
    ["10.0.0.0/99", "http://10.0.0.1"],
    ["[fd12::1]:99", "http://[fd12::1]"],
    ["*:80", "http://h:81"]
  ]
  it.each(other)("of %s does not keep %s from the proxy", (list, url) => {
    assert.strictEqual(proxyOf(url, { ...both, NO_PROXY: list }), "http://plain:1")
  })

  it("is read in lower case first", () => {
    assert.strictEqual(proxyOf("http://h", { ...both, no_proxy: "", NO_PROXY: "*" }), "http://plain:1")
    assert.isUndefined(proxyOf("http://h", { ...both, no_proxy: "h", NO_PROXY: "" }))
  })
})
