/**
 * A1, session expiry: a server drops the session of twenty calls in flight. Its own ledger records the calls that it ran.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer, Queue } from "effect"
import { request } from "node:http"
import { http, until } from "../fixtures/peer.ts"
import { read } from "../fixtures/read.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import { withServer } from "../fixtures/withSession.ts"

const capabilities = { tools: { listChanged: true }, resources: { subscribe: true } }

const ids = Array.from({ length: 20 }, (_, id) => `call ${id}`)

const idOf = ({ message }: Http.Arrival) =>
  (message.params as { readonly arguments: { readonly id: string } }).arguments.id

/** Deletes a session on a server, as another client would. */
const endSession = (url: string, id: string) =>
  Effect.callback<number | undefined>((resume) => {
    const headers = { "mcp-session-id": id, "mcp-protocol-version": "2025-11-25" }
    request(url, { method: "DELETE", headers }, (response) => resume(Effect.succeed(response.resume().statusCode)))
      .end()
  })

const sessionOf = ({ request }: Http.Arrival) => request.headers["mcp-session-id"]

const tool = { name: "charge", inputSchema: { type: "object" } }

/**
 * A server with sessions, notifications and elicitation that records the calls it ran. It accepts only the latest session
 * that it created; `forget` drops that session.
 */
const forgetful = (handle: (arrival: Http.Arrival) => boolean) => {
  let handedOut = 0
  let known: string | undefined
  const ran: Array<string> = []
  const streams = new Map<string, Http.Arrival["response"]>()
  let asking: Http.Arrival | undefined
  const answer = (arrival: Http.Arrival): boolean => {
    const { message, request, response } = arrival
    if (message.method === "initialize") {
      known = `session-${++handedOut}`
      const serverInfo = { name: "forgetful", version: "1" }
      const result = { protocolVersion: "2025-11-25", capabilities, serverInfo }
      Http.json(response, Http.result(message.id, result), { "mcp-session-id": known })
      return true
    }
    if (handle(arrival)) return true
    if (sessionOf(arrival) !== known) {
      response.writeHead(404, { "content-type": "application/json" }).end("{}")
      return true
    }
    if (request.method === "GET") {
      streams.set(String(known), response)
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders()
      return true
    }
    switch (message.method) {
      case "resources/subscribe":
        Http.json(response, Http.result(message.id, {}))
        return true
      case "tools/list":
        Http.json(response, Http.result(message.id, { tools: [tool] }))
        return true
      case "tools/call":
        if (message.params?.name === "ask") {
          asking = arrival
          const params = { message: "your name?", requestedSchema: { type: "object", properties: {} } }
          Http.stream(response, Http.event({ jsonrpc: "2.0", id: "question", method: "elicitation/create", params }))
        } else {
          ran.push(idOf(arrival))
          Http.json(response, Http.toolResult(message.id, "charged"))
        }
        return true
      case undefined: {
        if (request.method !== "POST") return false
        response.writeHead(202).end()
        const { result } = message as { readonly result?: unknown }
        asking?.response.end(Http.event(Http.toolResult(asking.message.id, JSON.stringify(result))))
        return true
      }
      default:
        return false
    }
  }
  return {
    answer,
    ran,
    forget: () => {
      known = undefined
    },
    /** Sends a notification in a session. */
    tell: (session: string, method: string, params: object) =>
      void streams.get(session)?.write(Http.event({ jsonrpc: "2.0", method, params }))
  }
}

describe.concurrent("A1: an expired session with calls in flight", () => {
  it.live("is replaced once for all calls, each call runs once, and all subscriptions continue", () =>
    Effect.gen(function*() {
      const held: Array<Http.Arrival> = []
      const { answer, forget, ran, tell } = forgetful((arrival) => {
        const isDead = sessionOf(arrival) === "session-1"
        // All calls but one receive their 404 after the new session is established.
        if (arrival.message.method === "notifications/initialized" && !isDead) {
          for (const { response } of held.splice(0)) response.writeHead(404).end()
        }
        if (arrival.message.method !== "tools/call" || !isDead || idOf(arrival) === "before") return false
        if (held.push(arrival) < ids.length) return true
        forget()
        held.pop()?.response.writeHead(404).end()
        return true
      })
      const server = yield* Http.start(answer)
      const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
        elicitation: { form: () => Effect.succeed({ action: "accept" as const, content: { name: "Ada" } }) }
      })
      const layer = Sessions.layer({
        servers: { s: { transport: "streamable_http", url: server.url, protocol: "legacy" } },
        // A retry could otherwise hide a call that was not resent at once.
        retry: RetryPolicy.never
      }).pipe(Layer.provide(Layer.merge(Transports.layer, handlers)))
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
        const updates = yield* read(session.subscribe("note://1"))
        const tools = yield* read(session.watchTools)
        yield* Queue.take(updates)
        yield* Queue.take(tools)
        // An application keeps a reference to a tool.
        const charge = (id: string) => session.callTool("charge", { id })
        yield* charge("before")

        yield* Effect.forEach(ids, charge, { concurrency: "unbounded" })
        assert.strictEqual(yield* session.generation, 2)
        assert.strictEqual(server.count("POST initialize"), 2)
        assert.deepStrictEqual(ran.toSorted(), ["before", ...ids].toSorted())

        // Subscribers receive Listening, and then notifications of the new session.
        assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "Listening", generation: 2 })
        yield* Queue.take(tools)
        yield* until(
          () =>
            server.ledger.filter(({ headers, what }) => what === "GET" && headers["mcp-session-id"] === "session-2"),
          (streams) => streams.length === 1
        )
        tell("session-2", "notifications/resources/updated", { uri: "note://1" })
        assert.deepStrictEqual(yield* Queue.take(updates), { _tag: "ResourceUpdated", uri: "note://1" })
        tell("session-2", "notifications/tools/list_changed", {})
        yield* Queue.take(tools)

        // Elicitation works on the new session too.
        const asked = yield* session.callTool("ask", { id: "asked" })
        assert.include(JSON.stringify(asked.content), "Ada")
        yield* charge("after")
        assert.strictEqual(yield* session.generation, 2)
      }).pipe(Effect.scoped, Effect.provide(layer))

      const second = server.ledger.findLastIndex(({ what }) => what === "POST initialize")
      const late = server.ledger.slice(second + 1).filter(({ headers }) => headers["mcp-session-id"] === "session-1")
      assert.deepStrictEqual(late, [])
      // The session that the server dropped cannot be deleted.
      assert.strictEqual(server.count("DELETE"), 1)
      yield* until(server.sockets, (sockets) => sockets === 0)
    }).pipe(Effect.scoped))

  it.live("fails its call with SessionExpired, without a loop, when the new session expires too", () =>
    Effect.gen(function*() {
      const { answer, ran } = forgetful(({ message, response }) => {
        if (message.method !== "tools/call") return false
        response.writeHead(404).end()
        return true
      })
      const { server } = yield* withServer(answer, (session) =>
        Effect.gen(function*() {
          const { reason } = yield* Effect.flip(session.callTool("charge", { id: "1" }))
          assert.deepInclude(reason, { _tag: "SessionExpired", delivery: "Rejected" })
        }))
      assert.strictEqual(server.count("POST initialize"), 2)
      assert.strictEqual(server.count("POST tools/call charge"), 2)
      assert.deepStrictEqual(ran, [])
    }))

  it.live("is replaced at most five times per minute when every session expires", () =>
    Effect.gen(function*() {
      const { answer } = forgetful(({ message, response }) => {
        if (message.method !== "tools/call") return false
        response.writeHead(404).end()
        return true
      })
      const { server, value } = yield* withServer(
        answer,
        (session) =>
          Effect.forEach(
            ids,
            (id) => Effect.map(Effect.flip(session.callTool("charge", { id })), ({ reason }) => reason._tag)
          )
      )
      assert.strictEqual(server.count("POST initialize"), 5)
      assert.deepStrictEqual([...new Set(value)], ["SessionExpired", "ServerDown"])
      assert.isAtMost(server.count("POST tools/call charge"), 6)
    }))

  for (const version of ["v1", "v2"] as const) {
    it.live(`is replaced once on a server of SDK ${version} too`, () =>
      Effect.gen(function*() {
        const { config, ledger, transports } = yield* http(version).start
        if (config.transport !== "streamable_http") return
        const { url } = config
        const layer = Sessions.layer({
          servers: { s: { ...config, protocol: "legacy" } },
          retry: RetryPolicy.never
        }).pipe(Layer.provide(transports))
        yield* Effect.gen(function*() {
          const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
          yield* session.callTool("count", { id: "before" })
          const [id = ""] = ledger("session")
          assert.strictEqual(yield* endSession(String(url), id), 200)
          assert.deepStrictEqual(ledger("delete"), [id])
          yield* Effect.forEach(ids, (id) => session.callTool("count", { id }), { concurrency: "unbounded" })
          assert.strictEqual(yield* session.generation, 2)
        }).pipe(Effect.scoped, Effect.provide(layer))
        assert.deepStrictEqual(ledger("count").toSorted(), ["before", ...ids].toSorted())
        assert.strictEqual(ledger("session").length, 2)
        assert.strictEqual(ledger("delete").length, 2)
      }).pipe(Effect.scoped))
  }
})
