/**
 * Authorization on every kind of transport and in both eras, without a user, and beside other credentials.
 */
import { assert, describe, it } from "@effect/vitest"
import { TokenStore } from "@mcp-sessions/transports"
import { Effect, Layer, Redacted } from "effect"
import { generateKeyPairSync } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"
import { inspect } from "node:util"
import { WebSocketServer } from "ws"
import { type AuthorizedOptions, openSessions } from "../../fixtures/authorized.ts"
import * as Auth from "../../fixtures/authServer.ts"
import * as Guarded from "../../fixtures/guardedHttp.ts"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"

const isMetadata = ({ url }: IncomingMessage) => url?.startsWith("/.well-known/oauth-protected-resource") === true

/** Refuses a request without a valid token, and shows the metadata of the resource. `true`: the request was answered. */
const guard = (auth: Auth.AuthServer, { request, response }: Http.Arrival, path: string): boolean => {
  if (isMetadata(request)) {
    const resource = `http://${request.headers.host}${path}`
    Http.json(response, { resource, authorization_servers: [auth.issuer] })
    return true
  }
  if (auth.scopeOf(request.headers.authorization) !== undefined) return false
  response.writeHead(401, { "www-authenticate": `Bearer error="invalid_token"` }).end()
  return true
}

const counts = ({ state }: Auth.AuthServer) => [state.authorizations.length, state.refreshes.length]

describe("authorization over SSE", () => {
  it.live("signs in, and renews the token for a request on a stream that is open", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const http = yield* Sse.start((arrival) => guard(auth, arrival, "/mcp"))
      const sessions = yield* openSessions({ url: http.url, transport: "sse" })
      yield* sessions.callTool("s", "first")
      assert.deepStrictEqual(counts(auth), [1, 0])
      auth.expireAll()
      yield* sessions.callTool("s", "second")
      assert.deepStrictEqual(counts(auth), [1, 1])
      assert.strictEqual(http.count("POST tools/call second"), 2)
      assert.strictEqual(yield* (yield* sessions.get("s")).generation, 1)
    }).pipe(Effect.scoped))
})

/** A WebSocket server that asks for a token at the upgrade. */
const webSocket = (auth: Auth.AuthServer) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer((request, response) => {
        if (!isMetadata(request)) return response.writeHead(404).end()
        const resource = `http://${request.headers.host}/mcp`
        return Http.json(response, { resource, authorization_servers: [auth.issuer] })
      })
      const sockets = new WebSocketServer({
        noServer: true,
        handleProtocols: (offered) => offered.has("mcp") ? "mcp" : false
      })
      const ran: Array<string> = []
      server.on("upgrade", (request, socket, head) => {
        if (auth.scopeOf(request.headers.authorization) === undefined) {
          socket.end("HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\nconnection: close\r\n\r\n")
          return
        }
        sockets.handleUpgrade(request, socket, head, (opened) => {
          opened.on("message", (data) => {
            const { id, method, params } = JSON.parse(String(data))
            if (id === undefined) return
            if (method === "tools/call") ran.push(params.name)
            const serverInfo = { name: "ws", version: "1" }
            const result = method === "initialize"
              ? { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo }
              : { content: [] }
            opened.send(JSON.stringify({ jsonrpc: "2.0", id, result }))
          })
        })
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      const port = typeof address === "object" ? address?.port : 0
      return { url: `ws://127.0.0.1:${port}/mcp`, ran, sockets, server }
    }),
    ({ server, sockets }) =>
      Effect.promise(async () => {
        for (const socket of sockets.clients) socket.terminate()
        server.closeAllConnections()
        await new Promise<void>((resolve) => server.close(() => resolve()))
      })
  )

describe("authorization of a WebSocket", () => {
  it.live("signs in at the upgrade, and renews the token at the next one", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const peer = yield* webSocket(auth)
      const sessions = yield* openSessions({ url: peer.url, transport: "websocket" })
      yield* sessions.callTool("s", "first")
      assert.deepStrictEqual(counts(auth), [1, 0])
      auth.expireAll()
      yield* sessions.callTool("s", "second")
      assert.deepStrictEqual(counts(auth), [1, 0])
      for (const socket of peer.sockets.clients) socket.terminate()
      const session = yield* sessions.get("s")
      yield* until(() => session.state.pipe(Effect.runSync)._tag, (tag) => tag !== "Ready")
      yield* sessions.callTool("s", "third")
      assert.deepStrictEqual(counts(auth), [1, 1])
      assert.deepStrictEqual(peer.ran, ["first", "second", "third"])
    }).pipe(Effect.scoped))
})

describe("authorization in the modern era", () => {
  it.live("signs in for server/discover, and renews the token for a tool call that was refused", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const ran: Array<unknown> = []
      const http = yield* Http.start(Http.modern((arrival) => {
        if (guard(auth, arrival, "/mcp")) return true
        const { message, response } = arrival
        if (message.method !== "tools/call") return false
        ran.push(message.params?.name)
        Http.json(response, Http.modernResult(message.id, { content: [] }))
        return true
      }))
      const sessions = yield* openSessions({ url: http.url, protocol: "auto" })
      yield* sessions.callTool("s", "first")
      auth.expireAll()
      yield* Effect.forEach(["a", "b", "c"], (name) => sessions.callTool("s", name), { concurrency: "unbounded" })
      assert.deepStrictEqual(counts(auth), [1, 1])
      assert.deepStrictEqual(ran.toSorted(), ["a", "b", "c", "first"])
      assert.strictEqual(http.count("POST server/discover"), 2)
    }).pipe(Effect.scoped))
})

describe("the stream of a server", () => {
  it.live("is opened again with a new token after it was refused", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      let streams = 0
      let refused = 0
      const http = yield* Http.start((arrival) => {
        const { message, request, response } = arrival
        if (request.method === "GET" && !isMetadata(request) && refused++ === 0) auth.expireAll()
        if (guard(auth, arrival, "/mcp")) return true
        if (request.method !== "GET") return false
        streams++
        Http.stream(response, Http.event({ jsonrpc: "2.0", method: "notifications/tools/list_changed" }))
        return message.id === undefined
      })
      const sessions = yield* openSessions({ url: http.url })
      const session = yield* sessions.get("s")
      yield* session.connect
      yield* until(() => streams, (open) => open === 1)
      assert.deepStrictEqual(counts(auth), [1, 1])
      assert.strictEqual(refused, 2)
    }).pipe(Effect.scoped))
})

describe("a client without a user", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  const clients: Record<string, AuthorizedOptions["auth"]> = {
    "a secret": { grant: "client_credentials", clientId: "robot", clientSecret: Redacted.make("robot-secret") },
    "a private key": { grant: "client_credentials", clientId: "robot", privateKey: Redacted.make(pem) }
  }
  for (const [title, auth] of Object.entries(clients)) {
    it.live(`gets a token with ${title}, and another one once that is refused`, () =>
      Effect.gen(function*() {
        const server = yield* Auth.start
        server.state.metadata = {
          token_endpoint_auth_methods_supported: ["client_secret_basic", "private_key_jwt"]
        }
        const http = yield* Guarded.start(server)
        const sessions = yield* openSessions({ url: http.url, ...(auth === undefined ? {} : { auth }) })
        yield* sessions.callTool("s", "first")
        server.expireAll()
        const names = ["a", "b", "c"]
        yield* Effect.forEach(names, (name) => sessions.callTool("s", name), { concurrency: "unbounded" })
        assert.deepStrictEqual(server.state.exchanges.length, 2)
        assert.strictEqual(server.state.exchanges[0]?.get("resource"), http.url)
        assert.deepStrictEqual(http.ran.toSorted(), ["a", "b", "c", "first"])
        assert.deepStrictEqual(counts(server), [0, 0])
      }).pipe(Effect.scoped))
  }

  it.live("asks no user if its secret is wrong", () =>
    Effect.gen(function*() {
      const server = yield* Auth.start
      server.state.metadata = { token_endpoint_auth_methods_supported: ["client_secret_basic"] }
      const http = yield* Guarded.start(server)
      const auth = { grant: "client_credentials", clientId: "robot", clientSecret: Redacted.make("wrong") } as const
      const sessions = yield* openSessions({ url: http.url, auth })
      const error = yield* Effect.flip(sessions.callTool("s", "t"))
      assert.strictEqual(error._tag === "SessionError" ? error.reason._tag : error._tag, "AuthRequired")
      assert.isAtMost(server.state.exchanges.length, 2)
      assert.deepStrictEqual(counts(server), [0, 0])
    }).pipe(Effect.scoped))
})

describe("an authorization server", () => {
  it.live("may choose another way for the client to prove who it is than was asked for", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      auth.state.metadata = { token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"] }
      auth.state.registered = { client_secret: "registered-secret", token_endpoint_auth_method: "client_secret_post" }
      const http = yield* Guarded.start(auth)
      const sessions = yield* openSessions({ url: http.url })
      yield* sessions.callTool("s", "first")
      auth.expireAll()
      yield* sessions.callTool("s", "second")
      const [exchange] = auth.state.exchanges
      const [refresh] = auth.state.refreshes
      assert.strictEqual(exchange?.get("client_secret"), "registered-secret")
      assert.strictEqual(refresh?.get("client_secret"), "registered-secret")
    }).pipe(Effect.scoped))

  it.live("may grant less than the server names with every 401, and is asked to refresh an expired token all the same", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const http = yield* Guarded.start(auth)
      const store = Layer.succeedContext(yield* Layer.build(TokenStore.layerMemory))
      yield* Effect.scoped(Effect.flatMap(
        openSessions({ url: http.url, store, auth: { scope: "read" } }),
        ({ callTool }) => callTool("s", "before")
      ))
      http.challenge = `, scope="read write admin"`
      auth.expireAll()
      const sessions = yield* openSessions({ url: http.url, store })
      yield* sessions.callTool("s", "after")
      assert.deepStrictEqual(counts(auth), [1, 1])
    }).pipe(Effect.scoped))
})

describe("credentials of a program", () => {
  it.live("are sent beside the token", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const http = yield* Guarded.start(auth)
      const credentials = () => Effect.succeed({ headers: { "x-tenant": Redacted.make("tenant-7") } })
      const sessions = yield* openSessions({ url: http.url, credentials })
      yield* sessions.callTool("s", "t")
      const call = http.ledger.find(({ what }) => what === "POST tools/call t")
      assert.strictEqual(call?.headers["x-tenant"], "tenant-7")
      assert.match(call?.headers.authorization ?? "", /^Bearer at-/)
    }).pipe(Effect.scoped))
})

describe("the texts of a server", () => {
  it.live("show neither the token nor the one before it", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const seen: Array<string> = []
      const http = yield* Http.start((arrival) => {
        if (guard(auth, arrival, "/mcp")) return true
        const { message, request, response } = arrival
        if (message.method !== "tools/call") return false
        const token = request.headers.authorization?.replace("Bearer ", "") ?? ""
        seen.push(token)
        const error = { code: -32000, message: `no access with ${token}`, data: { tokens: seen } }
        Http.json(response, { jsonrpc: "2.0", id: message.id, error })
        return true
      })
      const store = Layer.succeedContext(yield* Layer.build(TokenStore.layerMemory))
      const sessions = yield* openSessions({ url: http.url, store })
      for (let call = 0; call < 2; call++) {
        const error = yield* Effect.flip(sessions.callTool("s", "t"))
        assert.notMatch(inspect(error, { depth: 9 }) + JSON.stringify(error), /at-[0-9a-f]{32}/)
        assert.match(inspect(error, { depth: 9 }), /no access with <redacted>/)
        auth.expireAll()
      }
      assert.strictEqual(new Set(seen).size, 2)
    }).pipe(Effect.scoped))
})
