/**
 * Access to the page of a gateway, also from other pages, ports and users of the machine.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Redacted } from "effect"
import { post, startGateway } from "../../fixtures/gateway.ts"
import { startIssuer } from "../../fixtures/jwtIssuer.ts"
import { movableClock } from "../../fixtures/movableClock.ts"
import { act, cookieOf, enter, events, send, startPage } from "../../fixtures/page.ts"
import { until } from "../../fixtures/peer.ts"

const tokens = { alice: Redacted.make("the-token-of-alice"), bob: Redacted.make("the-token-of-bob") }

describe("the page of a gateway", () => {
  it.live("does not exist unless it is asked for", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({})
      for (const path of ["/ui", "/ui/app.js", "/ui/events", "/ui/api/enter", "/ui/api/call"]) {
        assert.strictEqual((yield* send(new URL(path, url).href, { method: "GET" })).status, 404, path)
      }
    }))

  it.live("loads and runs nothing but its own files, and cannot be embedded", () =>
    Effect.gen(function*() {
      const { origin } = yield* startPage()
      for (const path of ["/ui", "/ui/app.js", "/ui/app.css"]) {
        const { headers, status } = yield* send(`${origin}${path}`, { method: "GET" })
        assert.strictEqual(status, 200, path)
        assert.strictEqual(
          headers["content-security-policy"],
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )
        assert.strictEqual(headers["x-content-type-options"], "nosniff")
        assert.strictEqual(headers["referrer-policy"], "no-referrer")
        assert.strictEqual(headers["cache-control"], "no-store")
      }
    }))

  it.live("opens once with the secret of a link, and then announces the next link", () =>
    Effect.gen(function*() {
      const { latest, origin, url } = yield* startPage()
      const session = yield* enter(url)
      assert.strictEqual((yield* act(session, "tools", { server: "marked" })).status, 200)
      const link = new URL(url).hash.slice(1)
      const again = yield* send(`${origin}/ui/api/enter`, { headers: { origin, "x-page-link": link } })
      assert.strictEqual(again.status, 401)
      const next = yield* latest(2)
      assert.notStrictEqual(next, url)
      assert.strictEqual((yield* act(yield* enter(next), "tools", { server: "marked" })).status, 200)
    }))

  it.live("keeps its session in a cookie that scripts and other sites do not get", () =>
    Effect.gen(function*() {
      const { gateway: { port }, origin, url } = yield* startPage()
      const link = new URL(url).hash.slice(1)
      const { headers, json } = yield* send(`${origin}/ui/api/enter`, { headers: { origin, "x-page-link": link } })
      assert.match(
        headers["set-cookie"]?.[0] ?? "",
        new RegExp(`^mcp-sessions-${port}=[\\w-]{43}; Path=/ui; Max-Age=43200; HttpOnly; SameSite=Strict$`)
      )
      assert.match(String(json.token), /^[\w-]{43}$/)
    }))

  it.live("can be used at the public URL, and has its cookie sent over TLS alone if that is https", () =>
    Effect.gen(function*() {
      const { gateway, url } = yield* startPage({ publicUrl: "https://mcp.example.com/mcp" })
      const here = new URL(gateway.url).origin
      const origin = "https://mcp.example.com"
      const headers = { host: "mcp.example.com", origin }
      const entered = yield* send(`${here}/ui/api/enter`, {
        headers: { ...headers, "x-page-link": new URL(url).hash.slice(1) }
      })
      assert.match(entered.headers["set-cookie"]?.[0] ?? "", /; HttpOnly; SameSite=Strict; Secure$/)
      const left = yield* send(`${here}/ui/api/leave`, {
        headers: { ...headers, cookie: cookieOf(entered), "x-page-token": String(entered.json.token) }
      })
      assert.match(left.headers["set-cookie"]?.[0] ?? "", /; Max-Age=0; HttpOnly; SameSite=Strict; Secure$/)
    }))

  it.live("asks for a bearer token where the gateway has tokens, in place of a link", () =>
    Effect.gen(function*() {
      const { origin, url } = yield* startPage({ tokens })
      assert.strictEqual(url, `${origin}/ui`)
      const without = yield* send(`${origin}/ui/api/enter`, { headers: { origin } })
      const wrong = yield* send(`${origin}/ui/api/enter`, {
        headers: { origin, authorization: "Bearer something-else" }
      })
      assert.deepStrictEqual([without.status, wrong.status], [401, 401])
      const session = yield* enter(url, "the-token-of-alice")
      assert.strictEqual((yield* act(session, "tools", { server: "marked" })).status, 200)
      // The endpoint refuses the token of the page, and the page refuses a bearer token without its session.
      assert.strictEqual((yield* post(`${origin}/mcp`, {}, { token: session.token })).status, 401)
      const bearer = { authorization: "Bearer the-token-of-alice", cookie: "", "x-page-token": "" }
      assert.strictEqual((yield* act(session, "tools", { server: "marked" }, bearer)).status, 401)
    }))

  it.live("ends its session with the access token that opened it", () =>
    Effect.gen(function*() {
      const { clock, skip } = yield* movableClock
      yield* Effect.provideService(
        Effect.gen(function*() {
          const issuer = yield* startIssuer
          const { origin, url } = yield* startPage({ jwt: { issuer: issuer.issuer } })
          const session = yield* enter(url, yield* issuer.sign(`${origin}/mcp`))
          const status = Effect.map(act(session, "tools", { server: "marked" }), ({ status }) => status)
          // A token is valid for a minute, and 5 seconds more.
          skip(50_000)
          assert.strictEqual(yield* status, 200)
          skip(15_000)
          assert.strictEqual(yield* status, 401)
        }),
        Clock.Clock,
        clock
      )
    }))
})

describe("a request to the page", () => {
  it.live("needs both the cookie and the token of one session", () =>
    Effect.gen(function*() {
      const { url, latest } = yield* startPage()
      const [one, other] = [yield* enter(url), yield* enter(yield* latest(2))]
      const body = { server: "marked" }
      const statuses = [
        yield* act(one, "tools", body),
        yield* act(one, "tools", body, { cookie: "" }),
        yield* act(one, "tools", body, { "x-page-token": "" }),
        yield* act(one, "tools", body, { "x-page-token": other.token }),
        yield* act(one, "tools", body, { cookie: other.cookie })
      ].map(({ status }) => status)
      assert.deepStrictEqual(statuses, [200, 401, 401, 401, 401])
      const streams = [
        yield* events(one),
        yield* events({ ...one, token: other.token }),
        yield* events({ ...one, token: "" }),
        yield* events({ ...one, cookie: "" })
      ].map(({ status }) => status)
      assert.deepStrictEqual(streams, [200, 401, 401, 401])
    }))

  it.live("is refused if another origin has sent it, also one that may use the endpoint", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage({ allowedOrigins: ["https://app.example.com"] })
      const session = yield* enter(url)
      const { port } = new URL(url)
      const body = { server: "marked", tool: "plain", arguments: "{}" }
      const others = [
        "https://app.example.com",
        "http://127.0.0.1:1",
        `http://localhost:${port}`,
        "http://evil.example",
        "null"
      ]
      for (const origin of others) {
        const { headers, status } = yield* act(session, "call", body, { origin })
        assert.strictEqual(status, 403, origin)
        assert.isUndefined(headers["access-control-allow-credentials"])
      }
      const unnamed = yield* send(`${session.origin}/ui/api/call`, {
        body,
        headers: { cookie: session.cookie, "x-page-token": session.token }
      })
      assert.strictEqual(unnamed.status, 403)
      assert.strictEqual((yield* events(session, { "sec-fetch-site": "same-site" })).status, 403)
    }))

  it.live("lets no page of another origin read anything", () =>
    Effect.gen(function*() {
      const { origin } = yield* startPage({ allowedOrigins: ["https://app.example.com"] })
      for (const path of ["/ui", "/ui/app.js", "/ui/events", "/ui/api/tools", "/ui/api/enter"]) {
        const { headers } = yield* send(`${origin}${path}`, { headers: { origin: "https://app.example.com" } })
        assert.deepStrictEqual(Object.keys(headers).filter((name) => name.startsWith("access-control-")), [], path)
      }
      const preflight = yield* send(`${origin}/ui/api/call`, {
        method: "OPTIONS",
        headers: { origin: "https://app.example.com", "access-control-request-headers": "x-page-token" }
      })
      assert.notInclude(preflight.headers["access-control-allow-headers"] ?? "", "x-page-token")
      assert.isUndefined(preflight.headers["access-control-allow-credentials"])
    }))

  it.live("is refused under another name of the host", () =>
    Effect.gen(function*() {
      const { origin } = yield* startPage()
      const { status } = yield* send(`${origin}/ui`, { method: "GET", headers: { host: "evil.example" } })
      assert.strictEqual(status, 403)
    }))

  it.live("changes nothing with GET, and takes only JSON", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage()
      const session = yield* enter(url)
      const { cookie, origin, token } = session
      const headers = { origin, cookie, "x-page-token": token }
      const get = yield* send(`${origin}/ui/api/restart`, { method: "GET", headers })
      assert.deepStrictEqual([get.status, get.headers.allow], [405, "POST"])
      const form = yield* act(session, "restart", "server=marked", { "content-type": "text/plain" })
      assert.strictEqual(form.status, 415)
    }))

  it.live("finds nothing under its session once the page has signed out", () =>
    Effect.gen(function*() {
      const { url } = yield* startPage()
      const session = yield* enter(url)
      const stream = yield* events(session)
      const left = yield* act(session, "leave")
      assert.strictEqual(cookieOf(left), `${session.cookie.split("=", 1).join()}=`)
      assert.strictEqual((yield* act(session, "tools", { server: "marked" })).status, 401)
      yield* until(stream.isEnded, (isEnded) => isEnded)
    }))
})
