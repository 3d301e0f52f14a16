/**
 * Servers behind a load balancer that tells by a cookie which of them has a session.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type ServerConfig, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer } from "effect"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"
import { withSession } from "../../fixtures/withSession.ts"

/** A balancer that gives each session a server of its own. A request that comes without its cookie reaches a server without the session. */
const balancer = Effect.suspend(() => {
  let servers = 0
  return Http.start(({ message, request, response }) => {
    if (message.method === "initialize") {
      response.setHeader("set-cookie", ["theme=dark; Path=/other", `server=s${++servers}; Path=/; HttpOnly`])
      return false
    }
    const [, session] = /^session-(\d+)$/.exec(String(request.headers["mcp-session-id"])) ?? []
    if (/server=s(\d+)/.exec(request.headers.cookie ?? "")?.[1] === session) return false
    response.writeHead(404).end()
    return true
  })
})

const base = { transport: "streamable_http", protocol: "legacy" } as const

const layerOf = (config: ServerConfig.ServerConfigInput) =>
  Sessions.layer({ servers: { s: config }, retry: RetryPolicy.never }).pipe(Layer.provide(Transports.layer))

describe("cookies: true", () => {
  it.live("keeps a session behind a sticky load balancer, from the handshake to the DELETE", () =>
    Effect.gen(function*() {
      const server = yield* balancer
      yield* withSession({ ...base, url: server.url, cookies: true }, (session) => session.ping)
      const seen = server.ledger.map(({ headers, what }) => `${what}: ${headers.cookie ?? "none"}`)
      assert.include(seen, "POST initialize: none")
      for (const what of ["POST notifications/initialized", "GET", "POST ping", "DELETE"]) {
        assert.include(seen, `${what}: server=s1`)
      }
      assert.strictEqual(seen.filter((line) => line.endsWith("none")).length, 1)
    }).pipe(Effect.scoped))

  it.live("sends the cookies of the definition too, in the one header", () =>
    Effect.gen(function*() {
      const server = yield* balancer
      const config = { ...base, url: server.url, cookies: true, headers: { Cookie: "own=1" } }
      yield* withSession(config, (session) => session.ping)
      const cookies = new Set(server.ledger.map(({ headers }) => headers.cookie))
      assert.deepStrictEqual([...cookies], ["own=1", "own=1; server=s1"])
    }).pipe(Effect.scoped))

  it.live("keeps the cookies of each connection apart", () =>
    Effect.gen(function*() {
      const server = yield* balancer
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const [first, second] = yield* Effect.all([sessions.open("s"), sessions.open("s")], { concurrency: 2 })
        yield* Effect.all([first.ping, second.ping, first.ping], { concurrency: 3 })
      }).pipe(Effect.scoped, Effect.provide(layerOf({ ...base, url: server.url, cookies: true })))
      const { ledger } = server
      assert.isTrue(
        ledger.every(({ headers, what }) => what !== "POST initialize" || headers.cookie === undefined)
      )
      const pairs = ledger.flatMap(({ headers, what }) =>
        what === "POST ping" ? [`${headers["mcp-session-id"]} ${headers.cookie}`] : []
      )
      assert.deepStrictEqual([...new Set(pairs)].toSorted(), ["session-1 server=s1", "session-2 server=s2"])
    }).pipe(Effect.scoped))

  it.live("keeps the cookies of an SSE stream for its posts", () =>
    Effect.gen(function*() {
      const cookies: Array<string | undefined> = []
      const server = yield* Sse.start(({ request, response }) => {
        if (request.method === "GET") response.setHeader("set-cookie", "server=s1; Path=/")
        cookies.push(request.headers.cookie)
        return false
      })
      yield* withSession({ ...base, transport: "sse", url: server.url, cookies: true }, (session) => session.ping)
      assert.deepStrictEqual([...new Set(cookies)], [undefined, "server=s1"])
    }).pipe(Effect.scoped))
})

describe("cookies: false", () => {
  it.live("is the default, and keeps no cookie", () =>
    Effect.gen(function*() {
      const server = yield* balancer
      const error = yield* Effect.flip(withSession({ ...base, url: server.url }, (session) => session.ping))
      assert.strictEqual(error._tag, "SessionError")
      assert.isTrue(server.ledger.every(({ headers }) => headers.cookie === undefined))
    }).pipe(Effect.scoped))
})
