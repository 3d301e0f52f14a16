/**
 * Servers behind a proxy, over every kind of transport, with a real proxy that keeps a ledger.
 */
import { assert, describe, it } from "@effect/vitest"
import type { SessionError } from "@mcp-sessions/core"
import { Effect } from "effect"
import dns from "node:dns"
import { once } from "node:events"
import { syncBuiltinESMExports } from "node:module"
import { createServer, type Socket } from "node:net"
import { inspect } from "node:util"
import { afterEach, vi } from "vitest"
import { httpProxy, proxyVariables } from "../../fixtures/httpProxy.ts"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"
import { socketServer } from "../../fixtures/socketServer.ts"
import { withSession } from "../../fixtures/withSession.ts"

afterEach(() => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
})

/** Starts a server that leaves its connections to a function. */
const tcpServer = (onConnection: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const open = new Set<Socket>()
      let accepted = 0
      const server = createServer((socket) => {
        accepted++
        open.add(socket)
        socket.on("error", () => {}).on("close", () => open.delete(socket)).resume()
        onConnection(socket)
      })
      await once(server.listen(0, "127.0.0.1"), "listening")
      const address = server.address()
      return {
        server,
        url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
        accepted: () => accepted,
        sockets: () => open.size
      }
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

/** The same place under a name that only the proxy resolves. */
const hidden = (url: string): string => url.replace("127.0.0.1", "mcp.test")

const base = { protocol: "legacy", transport: "streamable_http" } as const

const reasonOf = (config: object) =>
  Effect.map(
    Effect.flip(withSession({ ...base, ...config }, (session) => session.ping)),
    (error): SessionError.Reason | undefined => error._tag === "SessionError" ? error.reason : undefined
  )

const credentials = `Basic ${Buffer.from("user:s3cret-pass").toString("base64")}`

describe("a proxy that the definition names", () => {
  it.live("gets the plain requests of Streamable HTTP, with its credentials, which the server does not see", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const server = yield* Http.start(() => false)
      const url = hidden(server.url)
      yield* withSession({ ...base, url, proxy: `http://user:s3cret-pass@${proxy.host}` }, (session) => session.ping)
      assert.deepStrictEqual(proxy.asked(), [`POST ${url}`, `GET ${url}`, `DELETE ${url}`])
      assert.isTrue(proxy.ledger.every(({ authorization }) => authorization === credentials))
      assert.strictEqual(server.count("POST ping"), 1)
      for (const { headers } of server.ledger) {
        assert.strictEqual(headers.host, new URL(url).host)
        assert.notProperty(headers, "proxy-authorization")
      }
    }).pipe(Effect.scoped))

  it.live("gets the plain requests of SSE", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const server = yield* Sse.start(() => false)
      const { host } = new URL(hidden(server.url))
      const config = { ...base, transport: "sse", url: hidden(server.url), proxy: proxy.url }
      yield* withSession(config, (session) => session.ping)
      assert.deepStrictEqual(proxy.asked(), [`GET http://${host}/mcp`, `POST http://${host}/messages?session=1`])
    }).pipe(Effect.scoped))

  it.live("opens a tunnel for a WebSocket, which alone gets the credentials", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const server = yield* socketServer()
      const url = hidden(server.url)
      const config = { ...base, transport: "websocket", url, proxy: `http://user:s3cret-pass@${proxy.host}` }
      yield* withSession(config, (session) => session.ping)
      assert.deepStrictEqual(proxy.ledger, [{ what: `CONNECT ${new URL(url).host}`, authorization: credentials }])
      assert.notProperty(server.headers[0], "proxy-authorization")
    }).pipe(Effect.scoped))

  it.live("is used for loopback too", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const server = yield* Http.start(() => false)
      yield* proxyVariables({ NO_PROXY: "*" })
      yield* withSession({ ...base, url: server.url, proxy: proxy.url }, (session) => session.ping)
      assert.include(proxy.asked(), `POST ${server.url}`)
    }).pipe(Effect.scoped))
})

describe("a proxy of the environment", () => {
  it.live("is used for hosts other than loopback and those of NO_PROXY", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const server = yield* Http.start(() => false)
      yield* proxyVariables({ http_proxy: proxy.url, NO_PROXY: "other.test" })
      yield* withSession({ ...base, url: server.url }, (session) => session.ping)
      assert.deepStrictEqual(proxy.ledger, [])
      const listed = server.url.replace("127.0.0.1", "a.other.test")
      assert.strictEqual((yield* reasonOf({ url: listed, connectTimeout: "5 seconds" }))?._tag, "ConnectionRefused")
      assert.deepStrictEqual(proxy.ledger, [])
      yield* withSession({ ...base, url: hidden(server.url) }, (session) => session.ping)
      assert.include(proxy.asked(), `POST ${hidden(server.url)}`)
    }).pipe(Effect.scoped))

  it.live("is not used with proxy: none", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      yield* proxyVariables({ HTTP_PROXY: proxy.url })
      const reason = yield* reasonOf({ url: "http://mcp.test:9/mcp", proxy: "none" })
      assert.strictEqual(reason?._tag, "ConnectionRefused")
      assert.deepStrictEqual(proxy.ledger, [])
    }).pipe(Effect.scoped))

  it.live("that is not one of HTTP fails the connect, and nothing is dialled", () =>
    Effect.gen(function*() {
      yield* proxyVariables({ HTTP_PROXY: "socks5://user:s3cret-pass@127.0.0.1:9" })
      for (const [transport, url] of [["streamable_http", "http://mcp.test/"], ["websocket", "ws://mcp.test/"]]) {
        const reason = yield* reasonOf({ transport, url })
        assert.deepInclude(reason, { _tag: "ProxyFailed", proxy: "HTTP_PROXY", isRetryable: false })
        assert.notInclude(inspect(reason, { depth: 9 }), "s3cret-pass")
      }
    }).pipe(Effect.scoped))
})

describe("a proxy that fails", () => {
  const kinds = [
    ["streamable_http", "http://mcp.test:9/mcp"],
    ["sse", "http://mcp.test:9/mcp"],
    ["websocket", "ws://mcp.test:9/"]
  ] as const

  for (const [transport, url] of kinds) {
    it.live(`with 407 is a typed error without credentials, over ${transport}`, () =>
      Effect.gen(function*() {
        const proxy = yield* httpProxy(() => 407)
        const reason = yield* reasonOf({ transport, url, proxy: `http://user:s3cret-pass@${proxy.host}` })
        assert.deepInclude(reason, { _tag: "ProxyFailed", proxy: proxy.url, status: 407, isRetryable: false })
        assert.strictEqual(reason?.message, `the proxy ${proxy.url} requires other credentials (HTTP 407)`)
        assert.notInclude(inspect(reason, { depth: 9, showHidden: true }), "s3cret-pass")
        assert.notInclude(inspect(reason, { depth: 9, showHidden: true }), credentials)
      }).pipe(Effect.scoped))
  }

  it.live("to open a tunnel is a typed error that says whether another attempt may help", () =>
    Effect.gen(function*() {
      for (const [status, isRetryable] of [[403, false], [502, true]] as const) {
        const proxy = yield* httpProxy(() => status)
        const reason = yield* reasonOf({ transport: "websocket", url: "ws://mcp.test:9/", proxy: proxy.url })
        assert.deepInclude(reason, { _tag: "ProxyFailed", status, isRetryable, delivery: "NotSent" })
      }
    }).pipe(Effect.scoped))

  for (const [transport, url] of kinds) {
    it.live(`to accept a connection is a typed error that names it, over ${transport}`, () =>
      Effect.gen(function*() {
        const reason = yield* reasonOf({ transport, url, proxy: "http://user:s3cret-pass@127.0.0.1:9" })
        assert.strictEqual(reason?.message, "no connection through the proxy http://127.0.0.1:9 (ECONNREFUSED)")
        assert.deepInclude(reason, { isRetryable: true, delivery: "NotSent", health: "failed" })
        assert.notInclude(inspect(reason, { depth: 9, showHidden: true }), "s3cret-pass")
      }))
  }

  it.live("to speak HTTP is a typed error that names it", () =>
    Effect.gen(function*() {
      const other = yield* tcpServer((socket) => void socket.end("SSH-2.0-OpenSSH\r\n"))
      const reason = yield* reasonOf({ transport: "websocket", url: "ws://mcp.test:9/", proxy: other.url })
      assert.deepInclude(reason, { _tag: "ProxyFailed", proxy: other.url })
    }).pipe(Effect.scoped))

  it.live("to answer at all is a typed error after the connect timeout, and its socket is closed", () =>
    Effect.gen(function*() {
      const silent = yield* tcpServer(() => {})
      const config = { transport: "websocket", url: "ws://mcp.test:9/", connectTimeout: "200 millis" }
      const reason = yield* reasonOf({ ...config, proxy: silent.url })
      assert.include(["ConnectTimeout", "ProxyFailed"], reason?._tag)
      assert.strictEqual(reason?.delivery, "NotSent")
      assert.strictEqual(silent.accepted(), 1)
      yield* until(silent.sockets, (sockets) => sockets === 0)
    }).pipe(Effect.scoped))
})

describe("addresses: public with a proxy", () => {
  const resolveTo = (address: string): void => {
    vi.spyOn(dns, "lookup").mockImplementation(
      ((host: string, _: object, callback: (error: null, found: unknown) => void) =>
        callback(null, host === "mcp.example.com" ? [{ address, family: 4 }] : [])) as never
    )
    syncBuiltinESMExports()
  }

  it.live("resolves the name here and gives the proxy the address that was checked", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const server = yield* Http.start(() => false)
      const sockets = yield* socketServer()
      resolveTo("93.184.216.34")
      const config = { ...base, addresses: "public", proxy: proxy.url }
      const url = server.url.replace("127.0.0.1", "mcp.example.com")
      yield* withSession({ ...config, url }, (session) => session.ping)
      assert.deepStrictEqual(proxy.asked(), [`CONNECT 93.184.216.34:${new URL(url).port}`])
      assert.strictEqual(server.ledger[0]?.headers.host, new URL(url).host)
      const socketUrl = sockets.url.replace("127.0.0.1", "mcp.example.com")
      yield* withSession({ ...config, transport: "websocket", url: socketUrl }, (session) => session.ping)
      assert.strictEqual(proxy.ledger.at(-1)?.what, `CONNECT 93.184.216.34:${new URL(socketUrl).port}`)
    }).pipe(Effect.scoped))

  it.live("refuses a name that resolves to a private address, and the proxy sees nothing of it", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      resolveTo("10.0.0.1")
      const config = { addresses: "public", proxy: proxy.url }
      for (const [transport, scheme] of [["streamable_http", "http"], ["sse", "http"], ["websocket", "ws"]]) {
        const reason = yield* reasonOf({ ...config, transport, url: `${scheme}://mcp.example.com:9/mcp` })
        assert.deepInclude(reason, { _tag: "BlockedAddress", address: "10.0.0.1" })
        const literal = yield* reasonOf({ ...config, transport, url: `${scheme}://169.254.169.254/mcp` })
        assert.strictEqual(literal?._tag, "BlockedAddress")
      }
      assert.deepStrictEqual(proxy.ledger, [])
    }).pipe(Effect.scoped))
})
