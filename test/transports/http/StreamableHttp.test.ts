/**
 * HTTP servers that forget, break off, send away and exaggerate. The ledger is the server's.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, RetryPolicy, type SessionError, Sessions } from "@mcp-sessions/core"
import { Memory, Transports } from "@mcp-sessions/transports"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Clock, DateTime, Effect, Fiber, Layer, Queue, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { gzipSync } from "node:zlib"
import { until } from "../../fixtures/peer.ts"
import { read } from "../../fixtures/read.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import { makeV1, makeV2 } from "../../fixtures/servers.ts"
import { sound } from "../../fixtures/soundOptions.ts"
import { withServer, withSession } from "../../fixtures/withSession.ts"

const reasonOf = <A>(effect: Effect.Effect<A, SessionError.SessionError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const lostIn = (reason: SessionError.Reason) => reason._tag === "OutcomeUnknown" ? reason.lost._tag : reason._tag

const isCall = (arrival: Http.Arrival) => arrival.message.method === "tools/call"

/** Counts the calls whose sockets are cut off from our side, for the server does not end its answers. */
const cutOff = () => {
  let count = 0
  return {
    count: () => count,
    handle: (arrival: Http.Arrival) => {
      if (isCall(arrival)) arrival.response.on("close", () => count++)
      return isCall(arrival)
    }
  }
}

describe.concurrent("sessions over HTTP", () => {
  it.live("sends the headers of the definition with every request, and deletes the session when it closes", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer(() => false, (session) => session.callTool("x"), {
        config: { headers: { "x-key": "s3cret" } }
      })
      assert.deepStrictEqual(server.ledger.map(({ what }) => what).filter((what) => what !== "GET"), [
        "POST initialize",
        "POST notifications/initialized",
        "POST tools/call x",
        "DELETE"
      ])
      for (const { headers } of server.ledger) assert.strictEqual(headers["x-key"], "s3cret")
      for (const { headers, what } of server.ledger.slice(1)) {
        assert.strictEqual(headers["mcp-session-id"], "session-1", what)
        assert.strictEqual(headers["mcp-protocol-version"], "2025-11-25", what)
      }
    }))

  it.live("replaces a session that the server forgot once for all calls, runs no call twice and never uses the old id again", () =>
    Effect.gen(function*() {
      const held: Array<Http.Arrival["response"]> = []
      const executed = new Map<unknown, number>()
      const { server } = yield* withServer(({ message, request, response }) => {
        const isDead = request.headers["mcp-session-id"] === "session-1"
        // The others hear of it only when the new session is there: their reports come late.
        if (message.method === "notifications/initialized" && !isDead) {
          for (const late of held.splice(0)) late.writeHead(404).end()
        }
        if (message.method !== "tools/call") return false
        if (isDead) {
          if (held.push(response) === 20) held.pop()?.writeHead(404).end("no such session")
          return true
        }
        const id = (message.params?.arguments as Record<string, unknown> | undefined)?.id
        executed.set(id, (executed.get(id) ?? 0) + 1)
        return false
      }, (session) =>
        Effect.gen(function*() {
          const ids = Array.from({ length: 20 }, (_, id) => id)
          yield* Effect.forEach(ids, (id) => session.callTool("charge", { id }), { concurrency: "unbounded" })
          assert.strictEqual(yield* session.generation, 2)
          yield* session.callTool("charge", { id: "after" })
        }))
      assert.strictEqual(server.count("POST initialize"), 2)
      assert.strictEqual(executed.size, 21)
      assert.deepStrictEqual([...new Set(executed.values())], [1])
      const second = server.ledger.findLastIndex(({ what }) => what === "POST initialize")
      const late = server.ledger.slice(second + 1).filter(({ headers }) => headers["mcp-session-id"] === "session-1")
      assert.deepStrictEqual(late.map(({ what }) => what), [])
      assert.strictEqual(server.count("DELETE"), 1)
    }))

  it.live("fails typed when the server forgets each new session", () =>
    Effect.gen(function*() {
      const { server, value } = yield* withServer((arrival) => {
        if (!isCall(arrival)) return false
        arrival.response.writeHead(404).end()
        return true
      }, (session) => reasonOf(session.callTool("charge")))
      assert.strictEqual(value._tag, "SessionExpired")
      assert.strictEqual(server.count("POST initialize"), 2)
    }))

  it.live("closes in time when the server does not answer the DELETE, or rejects it", () =>
    Effect.forEach([undefined, 405, 500], (status) =>
      Effect.gen(function*() {
        const { server } = yield* withServer(({ request, response }) => {
          if (request.method !== "DELETE") return false
          if (status !== undefined) response.writeHead(status).end()
          return true
        }, () => Effect.void)
        assert.strictEqual(server.count("DELETE"), 1)
      }), { concurrency: "unbounded" }))

  it.live("sends the DELETE again when its socket was cut", () =>
    Effect.gen(function*() {
      let deletes = 0
      const { server } = yield* withServer(({ request, response }) => {
        if (request.method !== "DELETE" || ++deletes > 1) return false
        response.destroy()
        return true
      }, () => Effect.void)
      assert.strictEqual(server.count("DELETE"), 2)
    }))
})

describe.concurrent("a call over HTTP", () => {
  for (const [title, after] of [["before the answer", undefined], ["within the answer", "{\"jsonrpc\":"]] as const) {
    it.live(`fails as unknown when the connection is reset ${title}, and is not sent again`, () =>
      Effect.gen(function*() {
        const { server, value } = yield* withServer((arrival) => {
          if (!isCall(arrival)) return false
          if (after === undefined) arrival.request.socket.resetAndDestroy()
          else {
            arrival.response.writeHead(200, { "content-type": "application/json", "content-length": "1000" })
            arrival.response.write(after, () => arrival.request.socket.resetAndDestroy())
          }
          return true
        }, (session) => reasonOf(session.callTool("charge")))
        assert.strictEqual(lostIn(value), "TransportFailed")
        assert.strictEqual(server.count("POST tools/call charge"), 1)
      }))
  }

  it.live("is sent again after a reset if it only reads", () =>
    Effect.gen(function*() {
      let wasReset = false
      const { server } = yield* withServer((arrival) => {
        if (arrival.message.method !== "resources/read") return false
        if (!wasReset) {
          wasReset = true
          arrival.request.socket.resetAndDestroy()
          return true
        }
        Http.json(arrival.response, Http.result(arrival.message.id, { contents: [] }))
        return true
      }, (session) => session.readResource("file:///x"))
      assert.strictEqual(server.count("POST resources/read"), 2)
    }))

  for (const protocol of ["legacy", "2026-07-28"] as const) {
    it.live(`fails at once without credentials, and quotes no secret: ${protocol}`, () =>
      Effect.gen(function*() {
        for (const status of [401, 403]) {
          const challenge = `Bearer error="${status === 401 ? "invalid_token" : "insufficient_scope"}", scope="all"`
          const refuse = (arrival: Http.Arrival) => {
            if (!isCall(arrival)) return false
            arrival.response.writeHead(status, { "www-authenticate": challenge }).end("s3cret is wrong")
            return true
          }
          const { server, value } = yield* withServer(
            protocol === "legacy" ? refuse : Http.modern(refuse),
            (session) => Effect.flip(session.callTool("charge")),
            { config: { protocol, headers: { authorization: "Bearer s3cret" } } }
          )
          assert.deepInclude(value.reason, { _tag: "AuthRequired", status, delivery: "Rejected" })
          assert.strictEqual(server.count("POST tools/call charge"), 1)
          assert.notInclude(JSON.stringify(value) + String(value.stack), "s3cret")
        }
      }))
  }

  for (const status of [301, 302, 303, 500]) {
    it.live(`may have run when the server answers HTTP ${status}, and is not sent again`, () =>
      Effect.gen(function*() {
        const { server, value } = yield* withServer((arrival) => {
          if (!isCall(arrival)) return false
          arrival.response.writeHead(status, { location: "/elsewhere" }).end()
          return true
        }, (session) => reasonOf(session.callTool("charge")))
        assert.strictEqual(lostIn(value), "HttpFailed")
        assert.strictEqual(server.count("POST tools/call charge"), 1)
      }))
  }

  it.live("fails typed when the response is not JSON-RPC", () =>
    Effect.gen(function*() {
      const noResult = (id: number | undefined) => JSON.stringify({ jsonrpc: "2.0", id })
      const noError = (id: number | undefined) => JSON.stringify({ jsonrpc: "2.0", id, error: null })
      const note = Http.event({ jsonrpc: "2.0", method: "notifications/message", params: {} })
      for (
        const [type, body] of [
          ["text/html", () => "<h1>"],
          ["application/json", () => "{"],
          ["application/json", () => "7"],
          ["application/json", noResult],
          ["application/json", noError],
          ["text/event-stream", (id?: number) => `${note}data: ${noResult(id)}\n\n`],
          ["text/event-stream", (id?: number) => `${note}data: ${noError(id)}\n\n`]
        ] as const
      ) {
        const { value } = yield* withServer((arrival) => {
          if (!isCall(arrival)) return false
          arrival.response.writeHead(200, { "content-type": type }).end(body(arrival.message.id))
          return true
        }, (session) => reasonOf(sound(session.callTool("charge", {}, { timeout: "2 seconds" }))))
        assert.strictEqual(lostIn(value), "InvalidResult", `${type} ${body(0)}`)
      }
    }))

  it.live("says how a response begins that is not JSON-RPC, of a call and of the handshake", () =>
    Effect.gen(function*() {
      const page = "<h1>Under maintenance</h1>"
      for (const method of ["initialize", "tools/call"]) {
        const server = yield* Http.start(({ message, response }) => {
          if (message.method !== method) return false
          response.writeHead(200, { "content-type": "text/html" }).end(page)
          return true
        })
        const config = { transport: "streamable_http", url: server.url, protocol: "legacy" }
        const { message } = yield* Effect.flip(withSession(config, (session) => session.callTool("charge")))
        assert.include(message, `the response to ${method} is neither JSON-RPC nor an event stream: ${page}`)
      }
    }).pipe(Effect.scoped))

  it.live("frees its socket once the server knows of its cancellation", () => {
    const { count, handle } = cutOff()
    return withServer(handle, (session, server) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(session.callTool("hang"), { startImmediately: true })
        yield* until(() => server.count("POST tools/call hang"), (count) => count === 1)
        yield* Fiber.interrupt(fiber)
        yield* until(() => server.count("POST notifications/cancelled"), (count) => count === 1)
        yield* until(count, (count) => count === 1)
      }))
  })
})

describe.concurrent("a response stream with event ids", () => {
  it.live("is resumed after the last event, and after the time that the server asks for", () =>
    Effect.gen(function*() {
      let id: number | undefined
      const { server, value } = yield* withServer(({ message, request, response }) => {
        if (message.method === "tools/call") {
          id = message.id
          Http.stream(response, "id: begin\nretry: 600\ndata: \n\n")
          response.end()
          return true
        }
        if (request.headers["last-event-id"] === undefined) return false
        Http.stream(response, Http.event(Http.toolResult(id, "resumed"), "end"))
        response.end()
        return true
      }, (session) => session.callTool("charge"))
      assert.deepStrictEqual(value.content, [{ type: "text", text: "resumed" }])
      assert.strictEqual(server.count("POST tools/call charge"), 1)
      const resumed = server.ledger.find(({ headers }) => headers["last-event-id"] !== undefined)
      const called = server.ledger.find(({ what }) => what === "POST tools/call charge")
      assert.strictEqual(resumed?.headers["last-event-id"], "begin")
      assert.isAtLeast((resumed?.at ?? 0) - (called?.at ?? 0), 590)
    }))

  it.live("is resumed after the latest event each time, until the response arrives", () =>
    Effect.gen(function*() {
      let id: number | undefined
      const note = { jsonrpc: "2.0", method: "notifications/message", params: {} }
      const { server } = yield* withServer(({ message, request, response }) => {
        const last = request.headers["last-event-id"]
        if (message.method === "tools/call") id = message.id
        else if (last === undefined) return false
        const next = Number(last ?? 0) + 1
        Http.stream(response, `retry: 1\n${Http.event(next < 4 ? note : Http.toolResult(id, "done"), String(next))}`)
        response.end()
        return true
      }, (session) => session.callTool("charge"))
      const places = server.ledger.flatMap(({ headers }) => headers["last-event-id"] ?? [])
      assert.deepStrictEqual(places, ["1", "2", "3"])
    }))

  it.live("is not resumed after the response, even if that is an error", () =>
    Effect.gen(function*() {
      let lost: number | undefined
      const { server } = yield* withServer(({ message: { id, method, params }, request, response }) => {
        if (request.headers["last-event-id"] !== undefined) {
          Http.stream(response, Http.event(Http.toolResult(lost, "ok")))
        } else if (method !== "tools/call") return false
        else {
          Http.stream(response, `id: ${params?.name}\ndata: \n\n`)
          if (params?.name === "lost") lost = id
          else if (params?.name === "answered") response.write(Http.event(Http.toolResult(id, "ok"), "answered"))
          else response.write(Http.event({ jsonrpc: "2.0", id, error: { code: -32602, message: "no" } }, "refused"))
        }
        response.end()
        return true
      }, (session) =>
        Effect.gen(function*() {
          yield* session.callTool("answered")
          assert.strictEqual((yield* reasonOf(session.callTool("refused")))._tag, "ProtocolFailed")
          // By the time that this one is taken up, those before it would have been.
          yield* session.callTool("lost")
        }))
      assert.deepStrictEqual(server.ledger.flatMap(({ headers }) => headers["last-event-id"] ?? []), ["lost"])
    }))

  it.live("is not resumed after the session has closed, nor is the stream of the server's own messages", () =>
    Effect.gen(function*() {
      const lost = new Map<unknown, number | undefined>()
      const server = yield* Http.start(({ message, request, response }) => {
        const { "last-event-id": place, "mcp-session-id": session } = request.headers
        if (message.params?.name === "lost") lost.set(session, message.id)
        else if (request.method !== "GET") return false
        Http.stream(response, `id: ${request.method}\ndata: \n\n`)
        if (place === undefined) response.end()
        else if (place === "POST") response.end(Http.event(Http.toolResult(lost.get(session), "ok")))
        return true
      })
      const of = (session: string) =>
        server.ledger.filter(({ headers, what }) => headers["mcp-session-id"] === session && what !== "DELETE")
      const config = { transport: "streamable_http", url: server.url, protocol: "legacy" }
      const [call, before] = yield* withSession(config, (session) =>
        Effect.gen(function*() {
          const call = yield* Effect.forkDetach(Effect.flip(session.callTool("lost")), { startImmediately: true })
          yield* until(() => of("session-1"), (requests) => requests.length === 3)
          // Both streams have ended, and wait for their time.
          yield* session.callTool("echo")
          return [call, of("session-1").length] as const
        }))
      yield* Fiber.join(call)
      yield* withSession(config, (session) =>
        Effect.gen(function*() {
          yield* session.callTool("lost")
          yield* until(
            () => of("session-2").map(({ headers }) => headers["last-event-id"]),
            (places) => places.includes("GET") && places.includes("POST")
          )
        }))
      assert.strictEqual(of("session-1").length, before)
    }).pipe(Effect.scoped))

  it.live("leaves the outcome unknown when the resumption is refused, whatever the status", () =>
    Effect.forEach([404, 401, 405, 503], (status) =>
      Effect.gen(function*() {
        const { server, value } = yield* withServer(({ message, request, response }) => {
          if (message.method === "tools/call") {
            Http.stream(response, "id: begin\nretry: 1\ndata: \n\n")
            response.end()
            return true
          }
          if (request.headers["last-event-id"] === undefined) return false
          response.writeHead(status).end()
          return true
        }, (session) => reasonOf(session.callTool("charge")))
        assert.strictEqual(lostIn(value), "ResponseLost")
        assert.strictEqual(server.count("POST tools/call charge"), 1)
      }), { concurrency: "unbounded" }))
})

describe.concurrent("limits over HTTP", () => {
  const large = "x".repeat(60_000)

  for (const kind of ["json", "sse"] as const) {
    it.live(`fails a call whose response in ${kind} is too large, and stays usable`, () =>
      withServer((arrival) => {
        if (!isCall(arrival) || arrival.message.params?.name !== "large") return false
        const body = Http.toolResult(arrival.message.id, large)
        if (kind === "json") Http.json(arrival.response, body)
        else {
          Http.stream(arrival.response, Http.event(body))
          arrival.response.end()
        }
        return true
      }, (session) =>
        Effect.gen(function*() {
          assert.strictEqual(lostIn(yield* reasonOf(session.callTool("large"))), "MessageTooLarge")
          yield* session.callTool("small")
        }), { config: { maxMessageBytes: 50_000 } }))
  }

  it.live("follows a bounded number of redirects, and sends nothing again that may have run", () =>
    Effect.gen(function*() {
      for (const method of ["tools/call", "initialize"]) {
        const handle = ({ message, response }: Http.Arrival) => {
          if (message.method !== method) return false
          response.writeHead(308, { location: "/mcp" }).end()
          return true
        }
        const server = yield* Http.start(handle)
        const config = { transport: "streamable_http", url: server.url, protocol: "legacy" }
        const error = yield* Effect.flip(withSession(config, (session) => session.callTool("charge")))
        assert.deepInclude((error as { readonly reason: object }).reason, { _tag: "HttpFailed", status: 308 })
        const requests = server.ledger.filter(({ what }) => what.startsWith(`POST ${method}`))
        assert.isBelow(requests.length, 25, method)
      }
    }).pipe(Effect.scoped))

  it.live("refuses headers that are too large, and does not decompress bodies", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer((arrival) => {
        if (!isCall(arrival)) return false
        const { message, response } = arrival
        const type = { "content-type": "application/json" }
        if (message.params?.name === "header") {
          response.writeHead(200, { ...type, "x-large": "x".repeat(100_000) }).end()
        } else {
          const body = gzipSync(JSON.stringify(Http.toolResult(message.id, "x".repeat(10_000_000))))
          response.writeHead(200, { ...type, "content-encoding": "gzip" }).end(body)
        }
        return true
      }, (session) =>
        Effect.gen(function*() {
          assert.strictEqual(lostIn(yield* reasonOf(session.callTool("header"))), "TransportFailed")
          assert.strictEqual(lostIn(yield* reasonOf(session.callTool("gzip"))), "InvalidResult")
        }))
      for (const { headers } of server.ledger) assert.notProperty(headers, "accept-encoding")
    }))

  it.live("does not send its headers to another origin", () =>
    Effect.gen(function*() {
      const other = yield* Http.start(() => false)
      const { value } = yield* withServer((arrival) => {
        if (!isCall(arrival)) return false
        arrival.response.writeHead(307, { location: other.url }).end()
        return true
      }, (session) =>
        reasonOf(session.callTool("charge")), { config: { headers: { authorization: "Bearer s3cret" } } })
      assert.strictEqual(value._tag, "HttpFailed")
      assert.deepStrictEqual(other.ledger, [])
    }).pipe(Effect.scoped))

  for (const [scheme, transport] of [["http", "streamable_http"], ["http", "sse"], ["ws", "websocket"]] as const) {
    it.live(`fails over ${transport} where nobody listens, with server and address, after the attempts of the policy`, () =>
      Effect.gen(function*() {
        const address = `${scheme}://127.0.0.1:1`
        const start = performance.now()
        const error = yield* Effect.flip(
          withSession(
            { transport, url: `${address}/mcp` },
            () => Effect.void,
            RetryPolicy.spaced({ retries: 2, delay: "50 millis" })
          )
        )
        assert.deepInclude(error, { _tag: "SessionError", server: "s", delivery: "NotSent", isRetryable: true })
        assert.strictEqual(error.message, `s: cannot reach ${address} (ECONNREFUSED)`)
        assert.isAtLeast(performance.now() - start, 99)
      }))
  }
})

describe.concurrent("an HTTP server that misbehaves", () => {
  it.live("is asked at the target of its redirect from then on, and recovers from a lost session", () =>
    Effect.gen(function*() {
      let isForgotten = false
      const { server } = yield* withServer((arrival) => {
        const { request, response } = arrival
        if (request.url === "/mcp") {
          response.writeHead(307, { location: "/mcp/" }).end()
          return true
        }
        if (!isCall(arrival) || !isForgotten) return false
        isForgotten = false
        response.writeHead(404).end()
        return true
      }, (session) =>
        Effect.gen(function*() {
          yield* session.callTool("first")
          yield* session.callTool("second")
          isForgotten = true
          yield* session.callTool("third")
          assert.strictEqual(yield* session.generation, 2)
        }))
      assert.strictEqual(server.count("POST tools/call first"), 1)
      assert.strictEqual(server.count("POST tools/call second"), 1)
    }))

  it.live("has lost the session if it answers a ping like the call: 400 with an error without an id", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer((arrival) => {
        const isAsked = isCall(arrival) || arrival.message.method === "ping"
        if (!isAsked || arrival.request.headers["mcp-session-id"] !== "session-1") return false
        arrival.response.writeHead(400, { "content-type": "application/json" }).end(
          JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32000, message: "Bad Request" } })
        )
        return true
      }, (session) => session.callTool("charge"))
      assert.strictEqual(server.count("POST initialize"), 2)
    }))

  it.live("has not lost the session if it answers a ping after the 400", () =>
    Effect.gen(function*() {
      const { server, value } = yield* withServer((arrival) => {
        if (!isCall(arrival)) return false
        arrival.response.writeHead(400).end("what?")
        return true
      }, (session) => reasonOf(session.callTool("charge")))
      assert.strictEqual(value._tag, "HttpFailed")
      assert.strictEqual(server.count("POST initialize"), 1)
    }))

  it.live("keeps no sockets of ours if it answers nothing, not even a cancellation", () => {
    const { count, handle } = cutOff()
    return withServer(
      (arrival) => handle(arrival) || arrival.message.method === "notifications/cancelled",
      (session) =>
        Effect.gen(function*() {
          const call = Effect.flip(session.callTool("hang", {}, { timeout: "50 millis" }))
          yield* Effect.all(Array.from({ length: 10 }, () => call), { concurrency: "unbounded" })
          yield* until(count, (count) => count === 10)
        })
    )
  })

  it.live("keeps no socket for each call if it leaves streams open after the response", () => {
    const { count, handle } = cutOff()
    return withServer((arrival) => {
      if (!handle(arrival)) return false
      Http.stream(arrival.response, Http.event(Http.toolResult(arrival.message.id, "ok")))
      return true
    }, (session) =>
      Effect.gen(function*() {
        yield* Effect.forEach(Array.from({ length: 10 }), () => session.callTool("charge"))
        yield* until(count, (count) => count === 10)
      }))
  })

  it.live("keeps no sockets of ours if its refusals are long", () => {
    const { count, handle } = cutOff()
    return withServer((arrival) => {
      if (!handle(arrival)) return false
      arrival.response.writeHead(500)
      const timer = setInterval(() => arrival.response.write("x".repeat(1024)), 1)
      arrival.response.on("close", () => clearInterval(timer))
      return true
    }, (session) =>
      Effect.gen(function*() {
        assert.strictEqual(lostIn(yield* reasonOf(session.callTool("charge"))), "HttpFailed")
        yield* until(count, (count) => count === 1)
      }))
  })

  it.live("is asked once for a stream of its own messages if it has none", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer(({ request, response }) => {
        if (request.method !== "GET") return false
        response.writeHead(405).end()
        return true
      }, (session, server) =>
        Effect.gen(function*() {
          yield* until(() => server.count("GET"), (count) => count === 1)
          // Half a second after a refusal it would be asked again.
          yield* Effect.sleep("1300 millis")
          yield* session.callTool("charge")
          assert.deepStrictEqual((yield* session.connect).warnings, [])
        }))
      assert.strictEqual(server.count("GET"), 1)
    }))

  const refusals: ReadonlyArray<readonly [status: number, type?: string]> = [
    [400],
    [401],
    [403],
    [404],
    [406],
    [429],
    [500],
    [204],
    [200, "text/plain"],
    [200, "text/html"],
    [200, "application/json"]
  ]
  for (const [status, type = "no type"] of refusals) {
    it.live(`is listened to again after it refused the stream of its own messages: ${status}, ${type}`, () => {
      let stream: Http.Arrival["response"] | undefined
      let gets = 0
      return withServer(({ request, response }) => {
        if (request.method !== "GET") return false
        if (++gets > 1) Http.stream(stream = response, ": here\n\n")
        else {response.writeHead(status, type === "no type" ? {} : { "content-type": type }).end(
            type === "no type" ? "" : "{}"
          )}
        return true
      }, (session) =>
        Effect.gen(function*() {
          const notifications = yield* read(session.notifications)
          const warnings = Effect.map(session.connect, ({ warnings }) => warnings)
          const warned = yield* Effect.repeat(warnings, {
            until: ({ length }) => length > 0,
            schedule: Schedule.spaced("1 millis")
          })
          const how = status < 300 ? "not an event stream" : `HTTP ${status}`
          assert.deepStrictEqual(warned, [
            `refused the stream of its own messages (${how}); notifications may be missed`
          ])
          yield* until(() => stream, (stream) => stream !== undefined)
          stream?.write(Http.event({ jsonrpc: "2.0", method: "notifications/custom", params: {} }))
          // Those that did not wait for the stream hear that they may have missed something.
          const heard = yield* Queue.take(notifications).pipe(
            Effect.repeat({ until: ({ _tag }) => _tag === "Other" })
          )
          assert.deepInclude(heard, { method: "notifications/custom" })
          assert.deepStrictEqual(yield* warnings, [])
        }).pipe(Effect.scoped))
    })
  }

  it.live("is listened to again after it refused to resume the stream of its own messages, and listeners are told of the gap", () => {
    const gets: Array<string | undefined> = []
    let stream: Http.Arrival["response"] | undefined
    return withServer(({ request, response }) => {
      if (request.method !== "GET") return false
      const resumed = request.headers["last-event-id"]
      gets.push(typeof resumed === "string" ? resumed : undefined)
      if (resumed === undefined) Http.stream(stream = response, "id: 1\nretry: 1\ndata:\n\n")
      else response.writeHead(405).end()
      return true
    }, (session) =>
      Effect.gen(function*() {
        const notifications = yield* read(session.notifications)
        assert.deepInclude(yield* Queue.take(notifications), { _tag: "Listening" })
        stream?.end()
        assert.deepInclude(yield* Queue.take(notifications), { _tag: "Listening" })
        yield* until(() => gets.length, (count) => count === 3)
        assert.deepStrictEqual(gets, [undefined, "1", undefined])
      }).pipe(Effect.scoped))
  })

  for (
    const [title, answer] of [
      ["an open stream", (response: Http.Arrival["response"]) => Http.stream(response, ": open\n\n")],
      ["a stream of other text", (response: Http.Arrival["response"]) => Http.stream(response, "data: hello\n\n")],
      ["a body that never ends", (response: Http.Arrival["response"]) => {
        response.writeHead(202, { "content-length": "10" }).write("{")
      }],
      ["JSON that is cut off", (response: Http.Arrival["response"]) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "10" }).write("{")
        setImmediate(() => response.destroy())
      }]
    ] as const
  ) {
    it.live(`has its session initialized if it answers the notification with ${title}`, () =>
      Effect.gen(function*() {
        const { server, value } = yield* withServer(({ message, response }) => {
          if (message.method !== "notifications/initialized") return false
          answer(response)
          return true
        }, (session) => session.callTool("charge"))
        assert.deepStrictEqual(value.content, [{ type: "text", text: "ok" }])
        assert.strictEqual(server.count("POST initialize"), 1)
      }))
  }

  for (
    const [title, id] of [
      ["with a space", "a b"],
      ["with a tab", "a\tb"],
      ["with a character beyond ASCII", "caf\u00e9"],
      ["that is too long", "x".repeat(4097)]
    ] as const
  ) {
    it.live(`cannot give a session id ${title}`, () =>
      Effect.gen(function*() {
        const server = yield* Http.start(({ message, response }) => {
          if (message.method !== "initialize") return false
          const serverInfo = { name: "s", version: "1" }
          const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo }
          Http.json(response, Http.result(message.id, result), { "mcp-session-id": id })
          return true
        })
        const config = { transport: "streamable_http", url: server.url, protocol: "legacy" }
        const error = yield* Effect.flip(withSession(config, (session) => session.callTool("charge")))
        assert.deepInclude((error as { readonly reason: object }).reason, {
          _tag: "HandshakeFailed",
          delivery: "NotSent",
          description: "the server gave a session id that is too long or has other characters than visible ASCII"
        })
        assert.deepStrictEqual(server.ledger.map(({ what }) => what), ["POST initialize"])
      }).pipe(Effect.scoped))
  }

  it.live("gets a DELETE if it fails after it created the session", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ message, response }) => {
        if (message.method !== "notifications/initialized") return false
        response.writeHead(500).end()
        return true
      })
      const layer = Sessions.layer({
        servers: { s: { transport: "streamable_http", url: server.url, protocol: "legacy" } },
        retry: RetryPolicy.never
      }).pipe(Layer.provide(Transports.layer))
      yield* Effect.flip(Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))).pipe(
        Effect.scoped,
        Effect.provide(layer)
      )
      assert.strictEqual(server.count("DELETE"), 1)
    }).pipe(Effect.scoped))
})

describe.concurrent("the probe of the era over HTTP", () => {
  for (const protocol of ["auto", "legacy", "2026-07-28"]) {
    it.live(`is not repeated without credentials, and no handshake follows: ${protocol}`, () =>
      Effect.gen(function*() {
        for (const challenge of ["Bearer", "Bearer error=\"insufficient_scope\", scope=\"all\""]) {
          const server = yield* Http.start(({ response }) => {
            response.writeHead(403, { "www-authenticate": challenge }).end()
            return true
          })
          const config = { transport: "streamable_http", url: server.url, protocol }
          const error = yield* Effect.flip(withSession(config, () => Effect.void, RetryPolicy.retryDefault))
          assert.strictEqual(error.message, "s: the server forbids access (HTTP 403)")
          assert.strictEqual(server.ledger.length, 1)
        }
      }).pipe(Effect.scoped))
  }

  it.effect("is an outage if neither it nor initialize is answered", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => true)
      const limits = { probeTimeout: "10 millis", connectTimeout: "2 seconds" }
      const arrives = (what: string) => TestClock.withLive(until(() => server.count(what), (count) => count === 1))
      const failing = yield* Effect.forkChild(
        Effect.flip(withSession({ transport: "streamable_http", url: server.url, ...limits }, () => Effect.void)),
        { startImmediately: true }
      )
      yield* arrives("POST server/discover")
      yield* TestClock.adjust("10 millis")
      yield* arrives("POST initialize")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(failing)).message, "s: not connected within 2000 ms")
      assert.deepStrictEqual(server.ledger.map(({ what }) => what), ["POST server/discover", "POST initialize"])
      yield* TestClock.withLive(until(server.sockets, (sockets) => sockets === 0))
    }).pipe(Effect.scoped))

  it.live("costs one request if a legacy server refuses it, on the socket that is used from then on", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer(
        () => false,
        (session) => Effect.map(session.connect, ({ era }) => assert.strictEqual(era, "legacy")),
        { config: { protocol: "auto" } }
      )
      const posts = server.ledger.map(({ what }) => what).filter((what) => what.startsWith("POST"))
      assert.deepStrictEqual(posts, ["POST server/discover", "POST initialize", "POST notifications/initialized"])
    }))
})

describe.concurrent("tools of a modern HTTP server", () => {
  it.live("are left out if they declare forbidden headers, and the others are kept", () =>
    Effect.gen(function*() {
      const called: Array<unknown> = []
      const tool = (name: string, properties: object) => ({ name, inputSchema: { type: "object", properties } })
      const mirrored = (header: unknown, type = "string") => ({ type, "x-mcp-header": header })
      const tools = [
        tool("good", { region: mirrored("Region") }),
        tool("split", { region: mirrored("Region\r\nHost: evil") }),
        tool("twice", { one: mirrored("Region"), two: mirrored("region") }),
        tool("number", { size: mirrored("Size", "number") }),
        tool("empty", { region: mirrored("") }),
        tool("elsewhere", { region: { $ref: "#/$defs/region" }, $defs: { region: mirrored("Region") } }),
        tool("plain", {})
      ]
      const server = yield* Http.start(Http.modern(({ message, request, response }) => {
        if (message.method === "tools/list") Http.json(response, Http.modernResult(message.id, { tools }))
        else if (message.method === "tools/call") {
          called.push([message.params?.name, request.headers["mcp-param-region"]])
          Http.json(response, Http.modernResult(message.id, { content: [] }))
        } else return false
        return true
      }))
      const config = { transport: "streamable_http", url: server.url, protocol: "2026-07-28" }
      const names = yield* withSession(config, (session) =>
        Effect.gen(function*() {
          const listed = yield* session.listTools()
          yield* session.callTool("good", { region: "north\r\nhost: evil" })
          yield* session.callTool("plain")
          return listed.map(({ name }) => name)
        }))
      assert.includeMembers(names, ["good", "plain"])
      for (const name of ["split", "twice", "number", "empty"]) assert.notInclude(names, name)
      const [[first, header], second] = called as [[string, string], unknown]
      assert.strictEqual(first, "good")
      assert.notInclude(header, "evil")
      assert.deepStrictEqual(second, ["plain", undefined])
      for (const { headers } of server.ledger) assert.match(String(headers.host), /^127\.0\.0\.1:\d+$/)
    }).pipe(Effect.scoped))

  for (const hasHandler of [false, true]) {
    const title = hasHandler ? "there is a handler of logs" : "a log level was asked for"
    it.live(`have their arguments mirrored in headers when ${title}`, () =>
      Effect.gen(function*() {
        const called: Array<unknown> = []
        const properties = { region: { type: "string", "x-mcp-header": "Region" } }
        const server = yield* Http.start(Http.modern(({ message, request, response }) => {
          if (message.method === "server/discover") {
            const supported = { supportedVersions: ["2026-07-28"], capabilities: { tools: {}, logging: {} } }
            Http.json(
              response,
              Http.modernResult(message.id, { ...supported, serverInfo: { name: "modern", version: "1" } })
            )
          } else if (message.method === "tools/list") {
            const tools = [{ name: "t", inputSchema: { type: "object", properties } }]
            Http.json(response, Http.modernResult(message.id, { tools }))
          } else if (message.method === "tools/call") {
            called.push(request.headers["mcp-param-region"])
            Http.json(response, Http.modernResult(message.id, { content: [] }))
          } else return false
          return true
        }))
        const handlers: ClientHandlers.Handlers = hasHandler
          ? { logging: { level: "info", handle: () => Effect.void } }
          : {}
        const config = { transport: "streamable_http" as const, url: server.url }
        yield* Effect.gen(function*() {
          const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
          if (!hasHandler) yield* session.setLogLevel("info")
          yield* session.listTools()
          yield* session.callTool("t", { region: "eu" })
        }).pipe(
          Effect.scoped,
          Effect.provide(
            Sessions.layer({ servers: { s: config } }).pipe(
              Layer.provide(Layer.merge(Transports.layer, Layer.succeed(ClientHandlers.ClientHandlers, handlers)))
            )
          )
        )
        assert.deepStrictEqual(called, ["eu"])
      }).pipe(Effect.scoped))
  }
})

describe.concurrent("a modern server that checks headers", () => {
  const refuse = ({ message, response }: Http.Arrival, status: number, code: number) =>
    response.writeHead(status, { "content-type": "application/json" }).end(
      JSON.stringify({ jsonrpc: "2.0", id: message.id, error: { code, message: "no" } })
    )
  const properties = { region: { type: "string", "x-mcp-header": "Region" } }
  const definition = { protocol: "2026-07-28" as const }

  it.live("gets a call again, once, with the headers that its tools declare on any page", () =>
    Effect.gen(function*() {
      const { server, value } = yield* withServer(
        Http.modern((arrival) => {
          const { message, request, response } = arrival
          if (message.method === "tools/list") {
            const isLast = message.params?.cursor === "2"
            const tools = [{ name: isLast ? "t" : "other", inputSchema: { type: "object", properties } }]
            const page = isLast ? { tools } : { tools, nextCursor: "2" }
            Http.json(response, Http.modernResult(message.id, page))
          } else if (message.method !== "tools/call") return false
          else if (request.headers["mcp-param-region"] === undefined) refuse(arrival, 400, -32_020)
          else Http.json(response, Http.modernResult(message.id, { content: [{ type: "text", text: "ran" }] }))
          return true
        }),
        (session) => session.callTool("t", { region: "eu" }),
        { config: definition }
      )
      assert.deepStrictEqual(value.content, [{ type: "text", text: "ran" }])
      assert.strictEqual(server.count("POST tools/call t"), 2)
      assert.strictEqual(server.count("POST tools/list"), 2)
    }))

  it.live("fails a call that it refuses twice", () =>
    Effect.gen(function*() {
      const { server, value } = yield* withServer(
        Http.modern((arrival) => {
          const { message, response } = arrival
          if (message.method === "tools/list") Http.json(response, Http.modernResult(message.id, { tools: [] }))
          else if (message.method === "tools/call") refuse(arrival, 400, -32_020)
          else return false
          return true
        }),
        (session) => reasonOf(session.callTool("t")),
        { config: definition }
      )
      assert.deepInclude(value, { _tag: "ProtocolFailed", code: -32_020 })
      assert.strictEqual(server.count("POST tools/call t"), 2)
      assert.strictEqual(server.count("POST tools/list"), 1)
    }))

  for (const status of [400, 404, 422, 500, 503]) {
    it.live(`fails a call with the JSON-RPC error that its refusal with HTTP ${status} carries`, () =>
      Effect.gen(function*() {
        const { value } = yield* withServer(
          Http.modern((arrival) => {
            if (isCall(arrival)) refuse(arrival, status, -32_602)
            return isCall(arrival)
          }),
          (session) => reasonOf(session.callTool("t")),
          { config: definition }
        )
        assert.deepInclude(value, { _tag: "ProtocolFailed", code: -32_602, description: "no" })
      }))
  }

  for (const status of [401, 403, 429]) {
    it.live(`fails a call with HTTP ${status}, whatever the body says`, () =>
      Effect.gen(function*() {
        const { value } = yield* withServer(
          Http.modern((arrival) => {
            if (isCall(arrival)) refuse(arrival, status, -32_602)
            return isCall(arrival)
          }),
          (session) => reasonOf(sound(session.callTool("t", {}, { idempotent: true }))),
          { config: definition, retry: RetryPolicy.never }
        )
        assert.deepInclude(value, { status })
      }))
  }
})

describe.concurrent("an event without a JSON-RPC message", () => {
  const noise = "data: {\"type\":\"heartbeat\"}\n\ndata: ping\n\ndata: [null]\n\n"

  it.live("is skipped on a response stream, and counted in a warning", () =>
    withServer((arrival) => {
      if (!isCall(arrival)) return false
      const answer = Http.event(Http.toolResult(arrival.message.id, "paid"))
      Http.stream(arrival.response, noise, answer)
      arrival.response.end()
      return true
    }, (session) =>
      Effect.gen(function*() {
        const { content } = yield* session.callTool("pay")
        assert.deepStrictEqual(content, [{ type: "text", text: "paid" }])
      })))

  it.live("leaves a request without a response in doubt, and does not send it again", () =>
    Effect.gen(function*() {
      const { server, value } = yield* withServer((arrival) => {
        if (!isCall(arrival)) return false
        Http.stream(arrival.response, noise)
        arrival.response.end()
        return true
      }, (session) => reasonOf(session.callTool("pay")))
      assert.strictEqual(value._tag, "OutcomeUnknown")
      assert.strictEqual(server.count("POST tools/call pay"), 1)
    }))

  it.live("does not end the stream of the server's own messages", () =>
    Effect.gen(function*() {
      let stream: Http.Arrival["response"] | undefined
      const { server } = yield* withServer(({ request, response }) => {
        if (request.method !== "GET") return false
        stream = response
        Http.stream(response, noise)
        return true
      }, (session) =>
        Effect.gen(function*() {
          const heard = yield* Queue.unbounded<unknown>()
          yield* Effect.forkChild(
            Stream.runForEach(session.notifications, (notification) => Queue.offer(heard, notification)),
            { startImmediately: true }
          )
          yield* session.callTool("x")
          yield* until(() => stream, (stream) => stream !== undefined)
          stream?.write(`${noise}${Http.event({ jsonrpc: "2.0", method: "notifications/custom", params: {} })}`)
          yield* Queue.take(heard)
        }))
      assert.strictEqual(server.count("GET"), 1)
    }))
})

describe.concurrent("the memory of the era", () => {
  it.live("is dropped when a server is replaced by one of the other era", () =>
    Effect.gen(function*() {
      let connections = 0
      const options = { ledger: () => {}, die: () => {} }
      const layer = Sessions.layer({
        servers: { s: { transport: "stdio", command: "s", args: [] } },
        retry: RetryPolicy.never
      }).pipe(
        Layer.provide(Memory.layerTransports({
          s: (peer) => {
            if (++connections === 1) {
              setTimeout(() => void peer.close(), 100)
              return makeV1(options).connect(peer as Parameters<ReturnType<typeof makeV1>["connect"]>[0])
            }
            serveStdio(() => makeV2(options), { transport: peer, legacy: "reject" })
            return undefined
          }
        }))
      )
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
        assert.strictEqual((yield* session.connect).era, "legacy")
        const era = Effect.map(session.connect, (info) => info.era)
        const ended = yield* Effect.result(era).pipe(
          Effect.repeat({
            until: (result) => result._tag === "Success" && result.success === "modern",
            schedule: Schedule.spaced("20 millis")
          }),
          Effect.timeout("5 seconds")
        )
        assert.isTrue(ended !== undefined)
        assert.strictEqual(yield* era, "modern")
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))
})

describe.concurrent("the stream of a legacy server's own messages", () => {
  it.live("is opened again after an outage, and listeners are told of the gap", () => {
    const gets: Array<Http.Arrival["response"]> = []
    return withServer(({ request, response }) => {
      if (request.method !== "GET") return false
      const n = gets.push(response)
      if (n === 1) Http.stream(response, ": here\n\n")
      else if (n < 4) response.writeHead(503).end()
      return true
    }, (session) =>
      Effect.gen(function*() {
        const notifications = yield* read(session.notifications)
        assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 1 })
        gets[0]?.end()
        yield* until(() => gets.length, (count) => count === 4)
        // What they were told meanwhile does not count: not before now can they hear of anything.
        yield* Queue.clear(notifications)
        if (gets[3] !== undefined) Http.stream(gets[3], ": here again\n\n")
        assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 1 })
        assert.strictEqual(yield* session.generation, 1)
      }).pipe(Effect.scoped))
  })

  it.live("is not opened again before the date of a Retry-After", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const now = () => clock.currentTimeMillisUnsafe()
      // Dates of HTTP have no milliseconds: between two and three seconds from now.
      const mayOpenAt = Math.floor(now() / 1000 + 3) * 1000
      const date = DateTime.toDateUtc(DateTime.makeUnsafe(mayOpenAt)).toUTCString()
      const askedAt: Array<number> = []
      yield* withServer(({ request, response }) => {
        if (request.method !== "GET") return false
        if (askedAt.push(now()) === 1) response.writeHead(503, { "retry-after": date }).end()
        else Http.stream(response, ": here\n\n")
        return true
      }, (session) =>
        Effect.gen(function*() {
          yield* read(session.notifications)
          yield* until(() => askedAt.length, (count) => count === 2)
          // A timer of Node may fire a millisecond early.
          assert.isAtLeast(askedAt[1] ?? 0, mayOpenAt - 1)
        }).pipe(Effect.scoped))
    }))

  it.live("is open before listening succeeds", () => {
    let held: Http.Arrival["response"] | undefined
    return withServer(({ request, response }) => {
      if (request.method !== "GET") return false
      held = response
      return true
    }, (session) =>
      Effect.gen(function*() {
        const notifications = yield* read(session.notifications)
        yield* until(() => held, (held) => held !== undefined)
        yield* session.callTool("x")
        assert.strictEqual(yield* Queue.size(notifications), 0)
        if (held !== undefined) Http.stream(held, ": here\n\n")
        assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 1 })
      }).pipe(Effect.scoped))
  })
})
