/**
 * HTTP servers that forget, break off, send away and exaggerate. The ledger is the server's.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, RetryPolicy, type SessionError, Sessions } from "@mcp-sessions/core"
import { Memory, Transports } from "@mcp-sessions/transports"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Effect, Fiber, Layer, Queue, Schedule } from "effect"
import { gzipSync } from "node:zlib"
import { until } from "../fixtures/peer.ts"
import { read } from "../fixtures/read.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import { makeV1, makeV2 } from "../fixtures/servers.ts"
import { withServer, withSession } from "../fixtures/withSession.ts"

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

describe.concurrent("sessions", () => {
  it.live("are given back, with what the definition sends along on every request", () =>
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

  it.live("that a server forgets are replaced once for all, no call runs twice, and the dead id is never used again", () =>
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

  it.live("that are forgotten again and again end typed", () =>
    Effect.gen(function*() {
      const { server, value } = yield* withServer((arrival) => {
        if (!isCall(arrival)) return false
        arrival.response.writeHead(404).end()
        return true
      }, (session) => reasonOf(session.callTool("charge")))
      assert.strictEqual(value._tag, "SessionExpired")
      assert.strictEqual(server.count("POST initialize"), 2)
    }))

  it.live("close in time when the server does not answer the DELETE, or will not have it", () =>
    Effect.forEach([undefined, 405, 500], (status) =>
      Effect.gen(function*() {
        const { server } = yield* withServer(({ request, response }) => {
          if (request.method !== "DELETE") return false
          if (status !== undefined) response.writeHead(status).end()
          return true
        }, () => Effect.void)
        assert.strictEqual(server.count("DELETE"), 1)
      }), { concurrency: "unbounded" }))

  it.live("give the session back once more when the socket was cut on which they did", () =>
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

describe.concurrent("a call", () => {
  for (const [title, after] of [["before the answer", undefined], ["within the answer", "{\"jsonrpc\":"]] as const) {
    it.live(`whose connection is reset ${title} fails as unknown, and is not repeated`, () =>
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

  it.live("that only reads is repeated after a reset", () =>
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
    it.live(`that is refused for want of credentials fails at once, and tells no secret: ${protocol}`, () =>
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
    it.live(`that is answered with ${status} may have run, and is not repeated`, () =>
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

  it.live("that is answered with what is no answer fails typed", () =>
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
        }, (session) => reasonOf(session.callTool("charge", {}, { timeout: "2 seconds" })))
        assert.strictEqual(lostIn(value), "InvalidResult", `${type} ${body(0)}`)
      }
    }))

  it.live("whose interruption the server was told of does not hold its socket", () => {
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

describe.concurrent("a stream that can be taken up", () => {
  it.live("is, after the last event and the time that the server wishes for", () =>
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

  it.live("is taken up at the new place after each event, until it has the answer", () =>
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

  it.live("is not once it has brought the answer, be that an error", () =>
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

  it.live("is not once the session has ended, nor is that of the server's own messages", () =>
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

  it.live("and then is refused leaves the outcome unknown, whatever the refusal", () =>
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

describe.concurrent("limits and borders", () => {
  const large = "x".repeat(60_000)

  for (const kind of ["json", "sse"] as const) {
    it.live(`refuses an answer in ${kind} that is too large, and goes on`, () =>
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

  it.live("follows a chain of redirects only so far, and sends nothing again that may have run", () =>
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

  it.live("refuses headers that are too large, and does not inflate what it did not ask to be deflated", () =>
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

  it.live("does not take its headers to another origin", () =>
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
    it.live(`fails over ${transport} where nobody listens, with server and address, after the tries of the policy`, () =>
      Effect.gen(function*() {
        const address = `${scheme}://127.0.0.1:1`
        const start = performance.now()
        const error = yield* Effect.flip(
          withSession(
            { transport, url: `${address}/mcp` },
            () => Effect.void,
            RetryPolicy.spaced({ tries: 3, delay: "50 millis" })
          )
        )
        assert.deepInclude(error, { _tag: "SessionError", server: "s", delivery: "NotSent", isRetryable: true })
        assert.strictEqual(error.message, `s: cannot reach ${address} (ECONNREFUSED)`)
        assert.isAtLeast(performance.now() - start, 99)
      }))
  }
})

describe.concurrent("servers that misbehave", () => {
  it.live("behind a redirect are asked there from then on, and recover from a lost session", () =>
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

  it.live("that answer 400 with an error for nobody have lost the session", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer((arrival) => {
        if (!isCall(arrival) || arrival.request.headers["mcp-session-id"] !== "session-1") return false
        arrival.response.writeHead(400, { "content-type": "application/json" }).end(
          JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32000, message: "Bad Request" } })
        )
        return true
      }, (session) => session.callTool("charge"))
      assert.strictEqual(server.count("POST initialize"), 2)
    }))

  it.live("that answer 400 otherwise have not", () =>
    Effect.gen(function*() {
      const { server, value } = yield* withServer((arrival) => {
        if (!isCall(arrival)) return false
        arrival.response.writeHead(400).end("what?")
        return true
      }, (session) => reasonOf(session.callTool("charge")))
      assert.strictEqual(value._tag, "HttpFailed")
      assert.strictEqual(server.count("POST initialize"), 1)
    }))

  it.live("that say nothing, not even to a cancellation, keep no sockets of ours", () => {
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

  it.live("that leave a stream open after the answer keep no socket for each call", () => {
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

  it.live("that refuse at length keep no sockets of ours", () => {
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

  it.live("that have no stream of their own messages are asked for it once, whatever they answer", () => {
    const asked = ([status, type]: readonly [status: number, type?: string]) =>
      Effect.gen(function*() {
        const { server } = yield* withServer(({ request, response }) => {
          if (request.method !== "GET") return false
          response.writeHead(status, type === undefined ? {} : { "content-type": type }).end()
          return true
        }, (session, server) =>
          Effect.gen(function*() {
            yield* until(() => server.count("GET"), (count) => count === 1)
            // A second after a stream has ended it is asked for again.
            yield* Effect.sleep("1300 millis")
            yield* session.callTool("charge")
          }))
        assert.strictEqual(server.count("GET"), 1, `${status} ${type}`)
      })
    return Effect.forEach([[405], [406], [404], [204], [200, "text/plain"]] as const, asked, {
      concurrency: "unbounded"
    })
  })

  it.live("that fail after they handed out a session get it back", () =>
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

describe.concurrent("the question for the era", () => {
  for (const protocol of ["auto", "legacy", "2026-07-28"]) {
    it.live(`is not asked again, nor another, for want of credentials: ${protocol}`, () =>
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

  it.live("that is not answered is an outage, for which nobody takes an old server", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => true)
      const timeout = "100 millis"
      const config = { transport: "streamable_http", url: server.url, probeTimeout: timeout, connectTimeout: timeout }
      const error = yield* Effect.flip(withSession(config, () => Effect.void))
      assert.strictEqual(error.message, "s: not connected within 100 ms")
      assert.deepStrictEqual(server.ledger.map(({ what }) => what), ["POST server/discover"])
      yield* until(server.sockets, (sockets) => sockets === 0)
    }).pipe(Effect.scoped))

  it.live("that an old server refuses costs one request, on the socket that is used from then on", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer(
        () => false,
        (session) => Effect.map(session.info, ({ era }) => assert.strictEqual(era, "legacy")),
        { config: { protocol: "auto" } }
      )
      const posts = server.ledger.map(({ what }) => what).filter((what) => what.startsWith("POST"))
      assert.deepStrictEqual(posts, ["POST server/discover", "POST initialize", "POST notifications/initialized"])
    }))
})

describe.concurrent("the modern era", () => {
  it.live("does without tools that would have headers written as no client may, and keeps the others", () =>
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
    it.live(`mirrors parameters in headers where ${title}, too`, () =>
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

describe.concurrent("the memory of the era", () => {
  it.live("is given up when a server is replaced by one of the other era", () =>
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
        assert.strictEqual((yield* session.info).era, "legacy")
        const era = Effect.map(session.info, (info) => info.era)
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
  it.live("is opened again after an outage, and those who listen are told of the gap", () => {
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

  it.live("is open before anyone is told that the server is listened to", () => {
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
