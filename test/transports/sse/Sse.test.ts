/**
 * The two endpoints of 2024-11-05, and the way there from a definition that only says HTTP.
 */
import { assert, describe, it } from "@effect/vitest"
import { type ConfigError, RetryPolicy, type SessionError } from "@mcp-sessions/core"
import { Effect } from "effect"
import type { ServerResponse } from "node:http"
import { net, until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"
import { withSession } from "../../fixtures/withSession.ts"

const lostIn = (error: SessionError.SessionError | ConfigError.ConfigError): string => {
  if (error._tag === "ConfigError") return error._tag
  return error.reason._tag === "OutcomeUnknown" ? error.reason.lost._tag : error.reason._tag
}

describe("SSE", () => {
  it.live("sends the headers of the definition to both endpoints", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(() => false)
      const config = { transport: "sse", url: server.url, headers: { "x-key": "value" } }
      const result = yield* withSession(config, (session) => session.callTool("x"))
      assert.deepStrictEqual(result.content, [{ type: "text", text: "old but good" }])
      for (const { headers } of server.ledger) assert.strictEqual(headers["x-key"], "value")
      yield* until(server.sockets, (sockets) => sockets === 0)
    }).pipe(Effect.scoped))

  it.live("fails at the connect deadline if the server never names an endpoint to post to", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(({ request, response }) => {
        if (request.method === "GET") Http.stream(response, ": nothing yet\n\n")
        return request.method === "GET"
      })
      const config = { transport: "sse", url: server.url, connectTimeout: "300 millis" }
      assert.strictEqual(lostIn(yield* Effect.flip(withSession(config, () => Effect.void))), "ConnectTimeout")
      yield* until(server.sockets, (sockets) => sockets === 0)
    }).pipe(Effect.scoped))

  it.live("does not post to another origin", () =>
    Effect.gen(function*() {
      const other = yield* Http.start(() => false)
      const server = yield* Sse.start(({ request, response }) => {
        if (request.method === "GET") Http.stream(response, `event: endpoint\ndata: ${other.url}\n\n`)
        return request.method === "GET"
      })
      const error = yield* Effect.flip(withSession({ transport: "sse", url: server.url }, () => Effect.void))
      assert.strictEqual(lostIn(error), "HandshakeFailed")
      assert.deepStrictEqual(other.ledger, [])
    }).pipe(Effect.scoped))

  for (
    const [title, tag, refuse] of [
      ["401", "AuthRequired", (response: ServerResponse) => response.writeHead(401).end()],
      ["404", "HttpFailed", (response: ServerResponse) => response.writeHead(404).end()],
      [
        "a page",
        "HandshakeFailed",
        (response: ServerResponse) => response.writeHead(200, { "content-type": "text/html" }).end("<p>")
      ],
      ["an empty stream", "HandshakeFailed", (response: ServerResponse) => {
        Http.stream(response)
        response.end()
      }]
    ] as const
  ) {
    it.live(`fails typed on ${title}, and does not connect again`, () =>
      Effect.gen(function*() {
        const server = yield* Sse.start(({ request, response }) => {
          if (request.method === "GET") refuse(response)
          return request.method === "GET"
        })
        const config = { transport: "sse", url: server.url }
        const error = yield* Effect.flip(withSession(config, () => Effect.void, RetryPolicy.retryDefault))
        assert.strictEqual(lostIn(error), tag)
        assert.strictEqual(server.count("GET"), 1)
      }).pipe(Effect.scoped))
  }

  it.live("takes a POST for accepted when its status says so, though its body never ends, and keeps no socket for it", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(({ message, request, response }, stream) => {
        if (request.method !== "POST") return false
        response.writeHead(202, { "content-length": "10" }).write("{")
        const serverInfo = { name: "old", version: "1" }
        const result = message.method === "initialize"
          ? { protocolVersion: "2024-11-05", capabilities: { tools: {} }, serverInfo }
          : { content: [{ type: "text", text: "paid" }] }
        if (message.id !== undefined) stream()?.write(Http.event(Http.result(message.id, result)))
        return true
      })
      const config = { transport: "sse", url: server.url, protocol: "legacy" }
      const content = yield* withSession(config, (session) =>
        Effect.gen(function*() {
          const { content } = yield* session.callTool("pay")
          yield* until(server.sockets, (sockets) => sockets === 1)
          return content
        }))
      assert.deepStrictEqual(content, [{ type: "text", text: "paid" }])
      assert.strictEqual(server.count("POST tools/call pay"), 1)
    }).pipe(Effect.scoped))

  it.live("ends with its stream: requests in flight are in doubt, and the next call has a new connection", () =>
    Effect.gen(function*() {
      let isFirst = true
      const server = yield* Sse.start(({ message, response }, stream) => {
        if (message.method !== "tools/call" || !isFirst) return false
        isFirst = false
        response.writeHead(202).end()
        stream()?.end()
        return true
      })
      yield* withSession({ transport: "sse", url: server.url }, (session) =>
        Effect.gen(function*() {
          assert.strictEqual(lostIn(yield* Effect.flip(session.callTool("charge"))), "TransportClosed")
          assert.strictEqual(server.count("GET"), 1)
          yield* session.callTool("again")
          assert.strictEqual(yield* session.generation, 2)
        }))
      assert.strictEqual(server.count("POST tools/call charge"), 1)
    }).pipe(Effect.scoped))

  for (const status of [400, 404]) {
    it.live(`initializes a new session when the call and a ping are refused with ${status}`, () =>
      Effect.gen(function*() {
        let isKnown = false
        const server = yield* Sse.start(({ message, response }) => {
          if (message.method === "ping") isKnown = true
          else if (message.method !== "tools/call" || isKnown) return false
          response.writeHead(status).end()
          return true
        })
        yield* withSession({ transport: "sse", url: server.url }, (session) => session.callTool("charge"))
        assert.strictEqual(server.count("POST initialize"), 2)
      }).pipe(Effect.scoped))
  }

  for (const [title, location] of [["the stream", "/mcp"], ["the endpoint to post to", "/messages"]] as const) {
    it.live(`follows a redirect of ${title} within its origin`, () =>
      Effect.gen(function*() {
        const server = yield* Sse.start(({ request, response }) => {
          const [path, query = ""] = (request.url ?? "").split("?")
          if (path !== location) return false
          response.writeHead(307, { location: `${location}/?${query}` }).end()
          return true
        })
        const config = { transport: "sse", url: server.url, headers: { "x-key": "value" } }
        yield* withSession(config, (session) => session.callTool("charge"))
        assert.strictEqual(server.count("POST tools/call charge"), 1)
        for (const { headers } of server.ledger) assert.strictEqual(headers["x-key"], "value")
      }).pipe(Effect.scoped))
  }

  for (const [method, isStream] of [["GET", true], ["POST", false]] as const) {
    it.live(`follows a bounded number of redirects of ${method}, and none to another origin`, () =>
      Effect.gen(function*() {
        const other = yield* Http.start(() => false)
        for (const location of [isStream ? "/mcp" : "/messages?session=1", other.url]) {
          const server = yield* Sse.start(({ request, response }) => {
            if (request.method !== method) return false
            response.writeHead(308, { location }).end()
            return true
          })
          const error = yield* Effect.flip(withSession({ transport: "sse", url: server.url }, () => Effect.void))
          assert.deepInclude((error as { readonly reason: object }).reason, { _tag: "HttpFailed", status: 308 })
          const requests = server.ledger.filter(({ what }) => what.startsWith(method))
          assert.strictEqual(requests.length, location === other.url ? 1 : 4)
        }
        assert.deepStrictEqual(other.ledger, [])
      }).pipe(Effect.scoped))
  }

  it.live("skips events without a JSON-RPC message, and the tool runs once", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(({ message }, stream) => {
        if (message.method === "tools/call") {
          stream()?.write("data: {\"type\":\"heartbeat\"}\n\ndata: ping\n\ndata: [null]\n\n")
        }
        return false
      })
      yield* withSession({ transport: "sse", url: server.url }, (session) =>
        Effect.gen(function*() {
          yield* session.callTool("pay")
          assert.strictEqual(yield* session.generation, 1)
        }))
      assert.strictEqual(server.count("POST tools/call pay"), 1)
    }).pipe(Effect.scoped))

  it.live("fails on an event that is too large", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(({ message, response }, stream) => {
        if (message.method !== "tools/call") return false
        response.writeHead(202).end()
        stream()?.write(Http.event(Http.toolResult(message.id, "x".repeat(60_000))))
        return true
      })
      const config = { transport: "sse", url: server.url, maxMessageBytes: 50_000 }
      assert.strictEqual(
        lostIn(yield* Effect.flip(withSession(config, (session) => session.callTool("x")))),
        "MessageTooLarge"
      )
    }).pipe(Effect.scoped))

  it.live("refuses a definition that pins a modern revision", () =>
    Effect.gen(function*() {
      const config = { transport: "sse", url: "http://127.0.0.1:1/", protocol: "2026-07-28" }
      assert.strictEqual(lostIn(yield* Effect.flip(withSession(config, () => Effect.void))), "HandshakeFailed")
    }))
})

describe("a definition that only says HTTP", () => {
  for (const protocol of ["auto", "legacy"]) {
    it.live(`falls back to SSE for a server of 2024-11-05 (${protocol})`, () =>
      Effect.gen(function*() {
        const { config: { url } } = (yield* net("sse", "v1").start) as { readonly config: { readonly url: string } }
        yield* withSession({ transport: "http", url, protocol }, (session) =>
          Effect.gen(function*() {
            const result = yield* session.callTool("echo", { message: "x" })
            assert.deepStrictEqual(result.content, [{ type: "text", text: "x" }])
          }))
      }).pipe(Effect.scoped))
  }

  it.live("does not fall back if it names Streamable HTTP", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(() => false)
      const error = yield* Effect.flip(
        withSession({ transport: "streamable_http", url: server.url }, () => Effect.void)
      )
      assert.strictEqual(lostIn(error), "HttpFailed")
      assert.strictEqual(server.count("GET"), 0)
    }).pipe(Effect.scoped))

  it.live("tries Streamable HTTP once, as long as SSE works", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(({ message, response }, stream) => {
        if (message.params?.name !== "end") return false
        response.writeHead(202).end()
        stream()?.end()
        return true
      })
      yield* withSession({ transport: "http", url: server.url, protocol: "legacy" }, (session) =>
        Effect.gen(function*() {
          yield* Effect.flip(session.callTool("end"))
          yield* session.callTool("again")
        }))
      // One of them was refused.
      assert.strictEqual(server.count("POST initialize"), 3)
      assert.strictEqual(server.count("GET"), 2)
    }).pipe(Effect.scoped))

  it.live("does not fall back without credentials, which are refused once", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ response }) => {
        response.writeHead(401).end()
        return true
      })
      const config = { transport: "http", url: server.url }
      const error = yield* Effect.flip(withSession(config, () => Effect.void, RetryPolicy.retryDefault))
      assert.strictEqual(lostIn(error), "AuthRequired")
      assert.deepStrictEqual(server.ledger.map(({ what }) => what), ["POST server/discover"])
    }).pipe(Effect.scoped))

  it.live("reports the failure of Streamable HTTP if neither works", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ request, response }) => {
        response.writeHead(request.method === "GET" ? 500 : 404).end()
        return true
      })
      const error = yield* Effect.flip(withSession({ transport: "http", url: server.url }, () => Effect.void))
      assert.deepInclude(error, { _tag: "SessionError" })
      assert.deepInclude((error as { readonly reason: object }).reason, { _tag: "HttpFailed", status: 404 })
    }).pipe(Effect.scoped))
})
