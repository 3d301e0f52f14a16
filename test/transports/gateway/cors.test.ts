/**
 * What pages of other origins may send to a gateway, and read of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createServer } from "node:http"
import * as Browser from "../../fixtures/browser.ts"
import { initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { sendsHeaders } from "../../inPage/inPage.ts"

const origin = "http://localhost:8080"

/** Asks whether a page may send headers. Returns those that it may send. */
const preflight = (url: string, headers: string, from = origin) =>
  Effect.map(
    post(url, undefined, {
      method: "OPTIONS",
      headers: { origin: from, "access-control-request-method": "POST", "access-control-request-headers": headers }
    }),
    ({ headers, status }) => ({ status, headers, allowed: headers["access-control-allow-headers"]?.split(", ") })
  )

/** The headers of MCP and of trace context that a page sends. */
const wanted = [
  "authorization",
  "content-type",
  "mcp-session-id",
  "mcp-protocol-version",
  "mcp-method",
  "mcp-name",
  "last-event-id",
  "traceparent",
  "tracestate",
  "baggage"
]

/** Starts a server of a page without content, and returns its origin. */
const startPage = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer((_, response) => {
        response.setHeader("content-type", "text/html").end("<!doctype html><title>page</title>")
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  ),
  (server) => {
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`
  }
)

describe("CORS of a gateway", () => {
  it.live("allows the headers of both eras and of trace context to a page of an allowed origin", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({})
      const { allowed, headers, status } = yield* preflight(url, wanted.join(","))
      assert.deepStrictEqual([status, headers["access-control-allow-origin"]], [204, origin])
      assert.deepStrictEqual(wanted.filter((name) => allowed?.includes(name) !== true), [])
      assert.strictEqual(headers["access-control-allow-methods"], "GET, POST, DELETE")
    }))

  it.live("allows the headers of parameters by the names that the page asks for", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({})
      const { allowed, headers } = yield* preflight(url, "Mcp-Param-Region, mcp-param-zone, x-other, mcp-param-")
      assert.deepStrictEqual(allowed?.filter((name) => /param|other/.test(name)), [
        "mcp-param-region",
        "mcp-param-zone"
      ])
      assert.include(headers.vary, "access-control-request-headers")
    }))

  it.live("allows nothing to a page of another origin", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({})
      const { allowed, headers, status } = yield* preflight(url, "mcp-method", "https://other.example.com")
      assert.deepStrictEqual([status, allowed, headers["access-control-allow-origin"]], [403, undefined, undefined])
    }))

  it.live("lets a page read its session, challenges, and how long to wait", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({})
      const { headers } = yield* post(url, initialize, { headers: { origin } })
      assert.deepStrictEqual(headers["access-control-expose-headers"]?.split(", ").toSorted(), [
        "mcp-session-id",
        "retry-after",
        "www-authenticate"
      ])
    }))

  it.live.skipIf(Browser.program === undefined)(
    "lets a page in a browser send the headers of both eras, and stops it from sending others",
    () =>
      Effect.gen(function*() {
        const { url } = yield* startGateway({})
        const browser = yield* Effect.acquireRelease(
          Effect.promise(Browser.launch),
          (browser) => Effect.promise(() => browser.close())
        )
        const page = yield* Browser.tab(browser)
        const from = yield* startPage
        const send = (name: string) => Effect.promise(() => page.evaluate(sendsHeaders, { url, names: [name] }))
        yield* Effect.promise(() => page.goto(from))
        assert.isTrue(
          yield* Effect.promise(() =>
            page.evaluate(sendsHeaders, { url, names: [...wanted.slice(2), "mcp-param-region"] })
          )
        )
        assert.isFalse(yield* send("x-other"))
      }),
    60_000
  )
})
