/**
 * Servers over TLS with an authority of their own, certificates of clients, and TLS through a proxy.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, ServerConfig, type SessionError, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TLSSocket } from "node:tls"
import { inspect } from "node:util"
import { makeAuthorizationConnections } from "../../../packages/transports/src/internal/network/openConnections.ts"
import { FetchFailed, OAuthFetch } from "../../../packages/transports/src/internal/oauth/oauthFetch.ts"
import { authority } from "../../fixtures/certificates.ts"
import { httpProxy, proxyVariables } from "../../fixtures/httpProxy.ts"
import { npmRegistry } from "../../fixtures/npmRegistry.ts"
import { fixture } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import { socketServer } from "../../fixtures/socketServer.ts"
import { withSession } from "../../fixtures/withSession.ts"

const hasNpx = spawnSync("npx", ["--version"]).status === 0

const ours = authority()
const foreign = authority("foreign authority")
const host = ours.issue("127.0.0.1", "mcp.test")

const base = { protocol: "legacy", transport: "streamable_http" } as const

const reasonOf = (config: object) =>
  Effect.map(
    Effect.flip(withSession({ ...base, ...config }, (session) => session.ping)),
    (error): SessionError.Reason | undefined => error._tag === "SessionError" ? error.reason : undefined
  )

const ping = (config: object) => withSession({ ...base, ...config }, (session) => session.ping)

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tls-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** The subject of the certificate that a client has shown. */
const clientOf = ({ socket }: IncomingMessage): string | undefined => {
  const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined
  return certificate?.subject === undefined ? undefined : String(certificate.subject.CN)
}

describe("a certificate authority of the definition", () => {
  it.live("is trusted for https, as a text and as a file among others", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => false, host)
      const path = yield* directory
      writeFileSync(join(path, "bundle.pem"), foreign.ca + ours.ca)
      for (const ca of [ours.ca, [foreign.ca, join(path, "bundle.pem")]]) {
        yield* ping({ url: server.url, tls: { ca } })
      }
      assert.strictEqual(server.count("POST ping"), 2)
    }).pipe(Effect.scoped))

  it.live("is trusted for wss", () =>
    Effect.gen(function*() {
      const server = yield* socketServer(host)
      yield* ping({ transport: "websocket", url: server.url, tls: { ca: ours.ca } })
      assert.strictEqual(server.headers.length, 1)
    }).pipe(Effect.scoped))

  it.live("is needed: without it, or with another one, the connect fails and names the remedy", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => false, host)
      const sockets = yield* socketServer(host)
      for (const config of [{ url: server.url }, { transport: "websocket", url: sockets.url }]) {
        for (const tls of [undefined, { ca: foreign.ca }]) {
          const reason = yield* reasonOf({ ...config, tls })
          assert.deepInclude(reason, { _tag: "ConnectionRefused", code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" })
          assert.include(reason?.message, "tls.ca can name the certificate authority to trust")
        }
      }
      assert.deepStrictEqual(server.ledger, [])
    }).pipe(Effect.scoped))

  it.live("does not make an expired certificate or another host valid, and serverName names the host", () =>
    Effect.gen(function*() {
      const expired = yield* Http.start(() => false, ours.issueExpired("127.0.0.1"))
      const tls = { ca: ours.ca }
      const reason = yield* reasonOf({ url: expired.url, tls })
      assert.deepInclude(reason, { _tag: "ConnectionRefused", code: "CERT_HAS_EXPIRED" })
      const other = ours.issue("mcp.internal")
      const server = yield* Http.start(() => false, other)
      const sockets = yield* socketServer(other)
      for (const config of [{ url: server.url }, { transport: "websocket", url: sockets.url }]) {
        const reason = yield* reasonOf({ ...config, tls })
        assert.deepInclude(reason, { _tag: "ConnectionRefused", code: "ERR_TLS_CERT_ALTNAME_INVALID" })
        yield* ping({ ...config, tls: { ...tls, serverName: "mcp.internal" } })
      }
    }).pipe(Effect.scoped))

  it.live("is read again at the next connect", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => false, host)
      const file = join(yield* directory, "ca.pem")
      writeFileSync(file, foreign.ca)
      const connect = Effect.flatMap(
        Sessions.Sessions,
        (sessions) => Effect.scoped(Effect.flatMap(sessions.get("s"), (session) => session.ping))
      )
      const servers = { s: { ...base, url: server.url, tls: { ca: file } } }
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(connect)
        assert.strictEqual(error._tag === "SessionError" && error.reason._tag, "ConnectionRefused")
        writeFileSync(file, ours.ca)
        yield* connect
      }).pipe(
        Effect.provide(
          Sessions.layer({ servers, retry: RetryPolicy.never }).pipe(Layer.provide(Transports.layer))
        )
      )
      assert.strictEqual(server.count("POST ping"), 1)
    }).pipe(Effect.scoped))

  it.live("that cannot be read is a typed error that names key and file, and nothing is dialled", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => false, host)
      const path = yield* directory
      const at = (name: string, content: string) => {
        writeFileSync(join(path, name), content)
        return join(path, name)
      }
      const { cert, key } = ours.issue("client")
      const cases: ReadonlyArray<readonly [tls: object, message: string]> = [
        [{ ca: join(path, "none.pem") }, `cannot use tls.ca from ${JSON.stringify(join(path, "none.pem"))} (ENOENT)`],
        [{ ca: path }, `cannot use tls.ca from ${JSON.stringify(path)} (EISDIR)`],
        [
          { ca: at("text", "s3cret") },
          `cannot use tls.ca from ${JSON.stringify(join(path, "text"))} (ERR_NO_CERTIFICATE)`
        ],
        [
          { cert: at("key", key), key },
          `cannot use tls.cert from ${JSON.stringify(join(path, "key"))} (ERR_NO_CERTIFICATE)`
        ],
        [{ cert, key: "s3cret key that is no file" }, "cannot use tls.key (ENOENT)"],
        [{ cert, key: ours.issue("other").key }, "cannot use tls.key (ERR_OSSL_X509_KEY_VALUES_MISMATCH)"]
      ]
      for (const [tls, message] of cases) {
        const reason = yield* reasonOf({ url: server.url, tls })
        assert.deepInclude(reason, { _tag: "TlsFailed", message, isRetryable: false })
        assert.notInclude(inspect(reason, { depth: 9, showHidden: true }), "s3cret")
      }
      const broken = yield* reasonOf({ url: server.url, tls: { cert, key: key.replace("MI", "s3cret") } })
      assert.strictEqual(broken?._tag, "TlsFailed")
      assert.notInclude(inspect(broken, { depth: 9, showHidden: true }), "s3cret")
      assert.deepStrictEqual(server.ledger, [])
    }).pipe(Effect.scoped))
})

describe("a certificate of the client", () => {
  const mutual = { ...host, ca: ours.ca, requestCert: true, rejectUnauthorized: true }

  it.live("lets a server that asks for one know the client, over https and wss", () =>
    Effect.gen(function*() {
      const clients = new Set<string | undefined>()
      const server = yield* Http.start(({ request }) => {
        clients.add(clientOf(request))
        return false
      }, mutual)
      const sockets = yield* socketServer(mutual)
      const tls = { ca: ours.ca, ...ours.issue("agent") }
      yield* ping({ url: server.url, tls })
      assert.deepStrictEqual([...clients], ["agent"])
      yield* ping({ transport: "websocket", url: sockets.url, tls })
      assert.strictEqual(sockets.headers.length, 1)
    }).pipe(Effect.scoped))

  it.live("is needed where the server asks for one, and has to be of its authority", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => false, mutual)
      for (const tls of [{ ca: ours.ca }, { ca: ours.ca, ...foreign.issue("agent") }]) {
        const reason = yield* reasonOf({ url: server.url, tls })
        assert.deepInclude(reason, { _tag: "TransportFailed", delivery: "NotSent" })
      }
      assert.deepStrictEqual(server.ledger, [])
    }).pipe(Effect.scoped))
})

describe("TLS through a proxy", () => {
  it.live("goes through a tunnel to the server, for https and wss", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const server = yield* Http.start(() => false, host)
      const sockets = yield* socketServer(host)
      const common = { proxy: `http://user:s3cret-pass@${proxy.host}`, tls: { ca: ours.ca } }
      const urls = [server.url, sockets.url].map((url) => url.replace("127.0.0.1", "mcp.test"))
      yield* ping({ ...common, url: urls[0] })
      yield* ping({ ...common, transport: "websocket", url: urls[1] })
      assert.deepStrictEqual(proxy.asked(), urls.map((url) => `CONNECT ${new URL(url).host}`))
      assert.notProperty(server.ledger[0]?.headers, "proxy-authorization")
      assert.notProperty(sockets.headers[0], "proxy-authorization")
    }).pipe(Effect.scoped))

  it.live("checks the certificate of the server, and not that of the proxy", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const server = yield* Http.start(() => false, host)
      const url = server.url.replace("127.0.0.1", "other.test")
      const reason = yield* reasonOf({ url, proxy: proxy.url, tls: { ca: ours.ca } })
      assert.deepInclude(reason, { _tag: "ConnectionRefused", code: "ERR_TLS_CERT_ALTNAME_INVALID" })
    }).pipe(Effect.scoped))

  it.live("reaches a proxy over TLS, which the authority of the definition vouches for", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy(undefined, host)
      const plain = yield* Http.start(() => false)
      const secure = yield* Http.start(() => false, host)
      for (const { url } of [plain, secure]) {
        const hidden = url.replace("127.0.0.1", "mcp.test")
        yield* ping({ url: hidden, proxy: proxy.url, tls: { ca: ours.ca } })
        assert.strictEqual(proxy.ledger.at(-1)?.what, `CONNECT ${new URL(hidden).host}`)
      }
      const reason = yield* reasonOf({ url: secure.url, proxy: proxy.url })
      assert.deepInclude(reason, { _tag: "ProxyFailed", code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" })
    }).pipe(Effect.scoped))
})

describe("an authorization server", () => {
  const dialling = (keys: ServerConfig.StreamableHttpServerInput) =>
    Effect.gen(function*() {
      const config = yield* ServerConfig.decode(keys)
      const connectionsOf = yield* makeAuthorizationConnections
      assert(config.transport === "streamable_http")
      return new OAuthFetch({ connections: () => connectionsOf(config), addresses: config.addresses })
    })

  it.live("is reached through the proxy, trusts the authority of the definition, and sees no certificate of the client", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const clients: Array<string | undefined> = []
      const options = { ...host, ca: ours.ca, requestCert: true, rejectUnauthorized: false }
      const server = yield* Http.start(({ request, response }) => {
        clients.push(clientOf(request))
        response.end("{}")
        return true
      }, options)
      const url = server.url.replace("127.0.0.1", "mcp.test")
      const tls = { ca: ours.ca, ...ours.issue("agent") }
      const other = yield* dialling({ url: "https://other.test/mcp", proxy: proxy.url, tls })
      assert.strictEqual((yield* Effect.promise(() => other.fetch(url))).status, 200)
      assert.deepStrictEqual(proxy.asked(), [`CONNECT ${new URL(url).host}`])
      const own = yield* dialling({ url, proxy: proxy.url, tls })
      yield* Effect.promise(() => own.fetch(url))
      assert.deepStrictEqual(clients, [undefined, "agent"])
    }).pipe(Effect.scoped))

  it.live("behind a proxy or an authority that fails is a typed failure that says so", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy(() => 407)
      const url = "https://auth.test/token"
      const failureOf = (keys: ServerConfig.StreamableHttpServerInput) =>
        Effect.flatMap(
          dialling(keys),
          (http) => Effect.promise(() => http.fetch(url).then(() => undefined, (error: unknown) => error))
        )
      const refused = yield* failureOf({ url, proxy: `http://user:s3cret-pass@${proxy.host}` })
      assert(refused instanceof FetchFailed)
      assert.strictEqual(refused.message, `the proxy ${proxy.url} requires other credentials (HTTP 407)`)
      assert.isFalse(refused.isTransient)
      const unread = yield* failureOf({ url, proxy: proxy.url, tls: { ca: "/none.pem" } })
      assert(unread instanceof FetchFailed)
      assert.strictEqual(unread.message, "cannot use tls.ca from \"/none.pem\" (ENOENT)")
    }).pipe(Effect.scoped))
})

describe("a program behind a proxy and an authority of its own", () => {
  it.live("reaches the network with the variables that it inherits", () =>
    Effect.gen(function*() {
      const proxy = yield* httpProxy()
      const registry = yield* Http.start(({ response }) => {
        response.end("installed")
        return true
      }, host)
      const file = join(yield* directory, "ca.pem")
      writeFileSync(file, ours.ca)
      yield* proxyVariables({
        HTTPS_PROXY: `http://user:s3cret-pass@${proxy.host}`,
        NODE_EXTRA_CA_CERTS: file,
        NODE_USE_ENV_PROXY: "1"
      })
      const url = registry.url.replace("127.0.0.1", "mcp.test")
      const command = [process.execPath, fixture("installedStdio.mjs"), url]
      const result = yield* withSession(
        { transport: "stdio", protocol: "legacy", command },
        (session) => session.callTool("x")
      )
      assert.deepStrictEqual(result.content, [{ type: "text", text: "installed" }])
      const authorization = `Basic ${Buffer.from("user:s3cret-pass").toString("base64")}`
      assert.deepStrictEqual(proxy.ledger, [{ what: `CONNECT ${new URL(url).host}`, authorization }])
    }).pipe(Effect.scoped))

  it.live.skipIf(!hasNpx)("is installed and run by npx", () =>
    Effect.gen(function*() {
      const place = yield* directory
      const proxy = yield* httpProxy()
      const registry = yield* npmRegistry({ directory: place, host: "mcp.test", tls: host })
      const file = join(place, "ca.pem")
      writeFileSync(file, ours.ca)
      yield* proxyVariables({ HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: file, npm_config_registry: registry })
      // Nothing is left in the cache of the user, and npm asks for nothing else.
      const env = {
        npm_config_cache: join(place, "cache"),
        npm_config_audit: "false",
        npm_config_update_notifier: "false"
      }
      const result = yield* withSession(
        {
          transport: "stdio",
          protocol: "legacy",
          command: ["npx", "-y", "mcp-greeter"],
          env,
          connectTimeout: "60 seconds"
        },
        (session) => session.callTool("x")
      )
      assert.deepStrictEqual(result.content, [{ type: "text", text: "installed" }])
      assert.deepStrictEqual(new Set(proxy.asked()), new Set([`CONNECT ${new URL(registry).host}`]))
    }).pipe(Effect.scoped))
})
