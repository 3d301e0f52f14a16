/**
 * The negotiation of the era over HTTP: whatever a server answers to the probe, silence, and servers that change their era in place.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import type { ServerResponse } from "node:http"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import { withSession } from "../../fixtures/withSession.ts"

type Answer = (response: ServerResponse, id: number | undefined) => void

const isProbe = ({ message }: Http.Arrival) => message.method === "server/discover"

const body = (status: number, type: string, text: string): Answer => (response) => {
  response.writeHead(status, { "content-type": type }).end(text)
}
const status = (status: number, headers: Record<string, string> = {}): Answer => (response) => {
  response.writeHead(status, headers).end()
}
const message = (value: object, status = 200): Answer => (response, id) => {
  response.writeHead(status, { "content-type": "application/json" }).end(
    JSON.stringify({ jsonrpc: "2.0", id: id ?? null, ...value })
  )
}
const error = { error: { code: -32601, message: "no such method" } }

/** Handles the probe, and leaves the rest to the scripted legacy server. */
const answering = (answer: Answer) => (arrival: Http.Arrival) => {
  if (!isProbe(arrival)) return false
  answer(arrival.response, arrival.message.id)
  return true
}

describe.concurrent("an answer to the era probe over HTTP", () => {
  const answers: ReadonlyArray<readonly [title: string, answer: Answer]> = [
    ["an empty body", status(200)],
    ["an empty JSON body", body(200, "application/json", "")],
    ["text", body(200, "text/plain", "unknown method")],
    ["text that claims to be JSON", body(200, "application/json", "unknown method")],
    ["a web page", body(200, "text/html", "<html></html>")],
    ["JSON that is no message", body(200, "application/json", "{}")],
    ["null", body(200, "application/json", "null")],
    ["an empty batch", body(200, "application/json", "[]")],
    ["202 without a body", status(202)],
    ["204", status(204)],
    ["a JSON-RPC error", message(error)],
    ["a JSON-RPC error without an id", message({ id: null, ...error })],
    ["a JSON-RPC error with 400", message(error, 400)],
    ["a JSON-RPC error with 404 and without an id", message({ id: null, ...error }, 404)],
    [
      "an error of revisions that this client lacks",
      message({
        error: { code: -32022, message: "no", data: { supported: ["2025-06-18"], requested: "2026-07-28" } }
      }, 400)
    ],
    ["an empty result", message({ result: {} })],
    ["a result of the wrong shape", message({ result: { supportedVersions: "2026-07-28", capabilities: {} } })],
    ["a result without this revision", message({ result: { supportedVersions: ["2031-01-01"], capabilities: {} } })],
    ["no result", message({})],
    ["an event stream that ends", body(200, "text/event-stream", "")],
    ["an event stream of other events", body(200, "text/event-stream", ": hello\n\ndata: nothing\n\n")],
    ["an answer to another request", message({ id: 7, result: {} })],
    ["400", status(400)],
    ["404", status(404)],
    ["405", status(405)],
    ["408", status(408)],
    ["410", status(410)],
    ["429", status(429, { "retry-after": "60" })],
    ["500", body(500, "text/plain", "unhandled method")],
    ["501", status(501)],
    ["502", status(502)],
    ["503", status(503, { "retry-after": "60" })]
  ]
  for (const [title, answer] of answers) {
    it.live(`leads to initialize on the same endpoint: ${title}`, () =>
      Effect.gen(function*() {
        const server = yield* Http.start(answering(answer))
        yield* withSession({ transport: "streamable_http", url: server.url }, (session) =>
          Effect.gen(function*() {
            assert.strictEqual((yield* session.connect).era, "legacy")
            yield* session.callTool("pay")
          }))
        assert.strictEqual(server.count("POST server/discover"), 1)
        assert.strictEqual(server.count("POST initialize"), 1)
        assert.strictEqual(server.count("POST tools/call pay"), 1)
      }).pipe(Effect.scoped))
  }

  const failures: ReadonlyArray<readonly [title: string, answer: Answer, tag: string]> = [
    ["401", status(401), "AuthRequired"],
    ["403", status(403), "AuthRequired"],
    ["a redirect to another origin", status(307, { location: "http://127.0.0.2:1/mcp" }), "HttpFailed"],
    ["a connection that is reset", (response) => void response.socket?.resetAndDestroy(), "TransportFailed"]
  ]
  for (const [title, answer, tag] of failures) {
    it.live(`fails the connect without initialize: ${title}`, () =>
      Effect.gen(function*() {
        const server = yield* Http.start(answering(answer))
        const failed = yield* Effect.flip(
          withSession({ transport: "streamable_http", url: server.url }, () => Effect.void)
        )
        assert.strictEqual(failed._tag === "SessionError" ? failed.reason._tag : failed._tag, tag)
        assert.strictEqual(server.count("POST initialize"), 0)
      }).pipe(Effect.scoped))
  }

  it.live("is remembered if it says that the server is of the legacy era, and not if it may pass", () =>
    Effect.gen(function*() {
      for (
        const [answer, probes] of [[status(404), 1], [message(error), 1], [status(503), 2], [status(202), 2]] as const
      ) {
        const server = yield* Http.start(answering(answer))
        yield* Effect.gen(function*() {
          const sessions = yield* Sessions.Sessions
          for (let n = 0; n < 2; n++) yield* Effect.flatMap(sessions.open("s"), (session) => session.connect)
        }).pipe(
          Effect.scoped,
          Effect.provide(
            Sessions.layer({ servers: { s: { transport: "streamable_http", url: server.url } } }).pipe(
              Layer.provide(Transports.layer)
            )
          )
        )
        assert.strictEqual(server.count("POST server/discover"), probes)
        assert.strictEqual(server.count("POST initialize"), 2)
      }
    }).pipe(Effect.scoped))
})

/** Connects while `meanwhile` runs in virtual time. */
const connecting = (
  url: string,
  meanwhile: (fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<void>,
  more: object = {}
) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(
      Effect.result(Effect.flatMap(
        Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")),
        (session) => session.connect
      )),
      { startImmediately: true }
    )
    yield* meanwhile(fiber)
    return yield* Fiber.join(fiber)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Sessions.layer({
        servers: { s: { transport: "streamable_http", url, ...more } },
        retry: RetryPolicy.never
      }).pipe(Layer.provide(Transports.layer))
    )
  )

const eraOf = (connected: object) => "success" in connected ? (connected.success as { readonly era: string }).era : "-"

const arrived = (server: Http.ScriptedHttp, what: string) =>
  TestClock.withLive(until(() => server.count(what), (count) => count === 1))

describe("an HTTP server that does not answer the era probe", () => {
  for (
    const [title, more, limit] of [
      ["the time limit of the probe", { probeTimeout: "3 seconds" }, 3000],
      [
        "half the time of the connect, if that is less",
        { probeTimeout: "3 seconds", connectTimeout: "2 seconds" },
        1000
      ]
    ] as const
  ) {
    it.effect(`receives initialize after ${title}, and its probe is ended`, () =>
      Effect.gen(function*() {
        let isProbeOpen = false
        const server = yield* Http.start((arrival) => {
          if (!isProbe(arrival)) return false
          isProbeOpen = true
          arrival.response.on("close", () => {
            isProbeOpen = false
          })
          return true
        })
        const connected = yield* connecting(server.url, () =>
          Effect.gen(function*() {
            yield* arrived(server, "POST server/discover")
            yield* TestClock.adjust(limit - 1)
            assert.strictEqual(server.count("POST initialize"), 0)
            yield* TestClock.adjust(1)
            yield* TestClock.withLive(until(() => isProbeOpen, (isOpen) => !isOpen))
          }), more)
        assert.strictEqual(eraOf(connected), "legacy")
        assert.strictEqual(server.count("POST initialize"), 1)
      }).pipe(Effect.scoped))
  }

  for (const times of [1, 2]) {
    const title = times === 1 ? "is of the modern era" : "is of no era that it can show"
    it.effect(`${title} if it refuses ${times} of two probes with a list that has their revision`, () =>
      Effect.gen(function*() {
        let refusals = 0
        const server = yield* Http.start(Http.modern((arrival) => {
          const { message: { id, method }, response } = arrival
          const isRefused = method === "initialize" || (isProbe(arrival) && refusals++ < times)
          if (isRefused) {
            const error = { code: -32022, message: "no", data: { supported: ["2026-07-28"], requested: "2026-07-28" } }
            message({ error }, 400)(response, id)
          }
          return isRefused
        }))
        const connected = yield* connecting(server.url, () => Effect.void)
        assert.strictEqual(Result.isSuccess(connected), times === 1)
        assert.strictEqual(server.count("POST server/discover"), 2)
      }).pipe(Effect.scoped))
  }

  for (const isRefused of [true, false]) {
    const title = isRefused ? "refuses initialize" : "leaves initialize unanswered"
    it.effect(`is of the modern era if it answers late, although it ${title}`, () =>
      Effect.gen(function*() {
        let late: (() => void) | undefined
        let isInitializeOver = false
        const server = yield* Http.start(Http.modern((arrival) => {
          const { message: { id, method }, response } = arrival
          if (method === "initialize") {
            response.on("close", () => {
              isInitializeOver = true
            })
            if (isRefused) {
              message({ error: { code: -32022, message: "no", data: { supported: ["2026-07-28"] } } }, 400)(
                response,
                id
              )
            }
            return true
          }
          if (!isProbe(arrival)) return false
          late = () =>
            Http.json(response, Http.modernResult(id, { supportedVersions: ["2026-07-28"], capabilities: {} }))
          return true
        }))
        const connected = yield* connecting(server.url, (fiber) =>
          Effect.gen(function*() {
            yield* arrived(server, "POST server/discover")
            yield* TestClock.adjust("3 seconds")
            yield* arrived(server, "POST initialize")
            if (isRefused) yield* TestClock.withLive(until(() => isInitializeOver, (isOver) => isOver))
            assert.isUndefined(fiber.pollUnsafe())
            late?.()
            // The exchange of the client that is given up is ended.
            yield* TestClock.withLive(until(() => isInitializeOver, (isOver) => isOver))
          }))
        assert.strictEqual(eraOf(connected), "modern")
        assert.strictEqual(server.count("POST initialize"), 1)
      }).pipe(Effect.scoped))
  }
})

/** A server that is modern at first, and later legacy: then it refuses requests without a session with a status alone. */
const refusing = (statusOf: (method: string | undefined) => number) =>
  Effect.gen(function*() {
    const state = { isModern: true, ran: 0 }
    const server = yield* Http.start((arrival) => {
      const { message: { id, method }, request, response } = arrival
      if (state.isModern) {
        return Http.modern(() => {
          if (method !== "tools/call") return false
          Http.json(response, Http.modernResult(id, { content: [] }))
          return true
        })(arrival)
      }
      if (request.method === "POST" && method !== "initialize" && request.headers["mcp-session-id"] === undefined) {
        response.writeHead(statusOf(method)).end()
        return true
      }
      if (method === "tools/call") state.ran++
      return false
    })
    return { server, state }
  })

/** A server behind one URL that is of either era, and counts what it runs. */
const changing = (first: "legacy" | "modern") =>
  Effect.gen(function*() {
    const state = {
      era: first as "legacy" | "modern",
      ran: [] as Array<string>,
      asked: 0,
      error: undefined as object | undefined
    }
    const held = new Set<string>()
    const server = yield* Http.start(({ message: { id, method, params }, request, response }) => {
      const say = (value: object, status = 200) => message(value, status)(response, id)
      const run = (result: object) => {
        state.ran.push(state.era)
        if (state.error !== undefined) say({ error: state.error })
        else say({ result: { ...result, content: [{ type: "text", text: `${state.era} ${String(params?.name)}` }] } })
        return true
      }
      if (state.era === "modern") {
        if (request.headers["mcp-protocol-version"] !== "2026-07-28") {
          const data = { supported: ["2026-07-28"], requested: "2025-11-25" }
          say({ error: { code: -32022, message: "Unsupported protocol version", data } }, 400)
        } else if (method === "server/discover") {
          state.asked++
          say({ result: { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} } } })
        } else return run({ resultType: "complete" })
        return true
      }
      if (method === "initialize") {
        held.add(`session-${held.size + 1}`)
        return false
      }
      if (request.method !== "POST") return false
      if (!held.has(String(request.headers["mcp-session-id"]))) {
        say({ error: { code: -32000, message: "Bad Request: no valid session ID provided" } }, 400)
        return true
      }
      return id === undefined ? false : run({})
    })
    return {
      server,
      state,
      become: (era: "legacy" | "modern") => {
        state.era = era
        held.clear()
      }
    }
  })

describe("an HTTP server that changes its era in place", () => {
  it.live("is met anew within the call that it refuses, from legacy to modern, and runs the tool once", () =>
    Effect.gen(function*() {
      const { become, server, state } = yield* changing("legacy")
      yield* withSession({ transport: "streamable_http", url: server.url }, (session) =>
        Effect.gen(function*() {
          yield* session.callTool("x")
          become("modern")
          const { content } = yield* session.callTool("x")
          assert.deepStrictEqual(content, [{ type: "text", text: "modern x" }])
          assert.strictEqual((yield* session.connect).era, "modern")
          assert.strictEqual(yield* session.generation, 2)
        }))
      assert.deepStrictEqual(state.ran, ["legacy", "modern"])
    }).pipe(Effect.scoped))

  it.live("is met anew by the second call at the latest, from modern to legacy", () =>
    Effect.gen(function*() {
      const { become, server, state } = yield* changing("modern")
      yield* withSession({ transport: "streamable_http", url: server.url }, (session) =>
        Effect.gen(function*() {
          yield* session.callTool("x")
          become("legacy")
          const refusals = yield* Effect.forEach([1, 2, 3], () => Effect.flip(session.callTool("x")), {
            concurrency: "unbounded"
          })
          for (const { message } of refusals) assert.include(message, "no valid session ID provided")
          yield* session.callTool("x")
          assert.strictEqual((yield* session.connect).era, "legacy")
          assert.strictEqual(yield* session.generation, 2)
        }))
      assert.deepStrictEqual(state.ran, ["modern", "legacy"])
      // One question for all three calls, and the probe of the next connect.
      assert.strictEqual(server.count("POST server/discover"), 3)
    }).pipe(Effect.scoped))

  it.live("is met anew within the call if it refuses that with a status alone, from modern to legacy", () =>
    Effect.gen(function*() {
      const { server, state } = yield* refusing(() => 404)
      yield* withSession({ transport: "streamable_http", url: server.url }, (session) =>
        Effect.gen(function*() {
          yield* session.callTool("x")
          state.isModern = false
          yield* session.callTool("x")
          assert.strictEqual((yield* session.connect).era, "legacy")
        }))
      assert.strictEqual(state.ran, 1)
    }).pipe(Effect.scoped))

  it.live("leaves the outcome of a call unknown that it refuses with another status than the question, from modern to legacy", () =>
    Effect.gen(function*() {
      const { server, state } = yield* refusing((method) => method === "tools/call" ? 409 : 404)
      yield* withSession({ transport: "streamable_http", url: server.url }, (session) =>
        Effect.gen(function*() {
          yield* session.callTool("x")
          state.isModern = false
          const { reason } = yield* Effect.flip(session.callTool("x"))
          assert.deepInclude(reason, { _tag: "OutcomeUnknown" })
          assert.strictEqual(server.count("POST tools/call x"), 2)
          yield* session.callTool("x")
          assert.strictEqual((yield* session.connect).era, "legacy")
        }))
    }).pipe(Effect.scoped))

  it.live("keeps its connection if it answers with an error of its own and is still modern", () =>
    Effect.gen(function*() {
      const { server, state } = yield* changing("modern")
      state.error = { code: -32000, message: "out of stock" }
      yield* withSession({ transport: "streamable_http", url: server.url }, (session) =>
        Effect.gen(function*() {
          const failed = yield* Effect.flip(session.callTool("x"))
          assert.strictEqual(failed.message, "s: out of stock (code -32000)")
          assert.strictEqual(yield* session.generation, 1)
        }))
      assert.deepStrictEqual(state.ran, ["modern"])
      assert.strictEqual(server.count("POST server/discover"), 2)
    }).pipe(Effect.scoped))

  it.live("is probed again after a restart by hand", () =>
    Effect.gen(function*() {
      const { server } = yield* changing("legacy")
      const probes = () => server.count("POST server/discover")
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.get("s")
        yield* session.connect
        yield* sessions.open("s").pipe(Effect.flatMap((session) => session.connect))
        assert.strictEqual(probes(), 1)
        yield* sessions.restart("s")
        yield* session.connect
        assert.strictEqual(probes(), 2)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          Sessions.layer({ servers: { s: { transport: "streamable_http", url: server.url } } }).pipe(
            Layer.provide(Transports.layer)
          )
        )
      )
    }).pipe(Effect.scoped))
})
