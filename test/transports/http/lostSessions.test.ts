/**
 * Servers that refuse a call: because they no longer know the session, in the ways that real servers do, or because the call failed. The
 * ledger of tool runs is the server's.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ConfigError, Session, SessionError } from "@mcp-sessions/core"
import { Effect, Fiber } from "effect"
import type { ServerResponse } from "node:http"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"
import { withSession } from "../../fixtures/withSession.ts"

type Refuse = (response: ServerResponse, id: number | undefined) => void

/** A refusal with a status and a body. */
const refusal = (status: number, body: string | ((id: number | undefined) => object) = ""): Refuse => (response, id) =>
  typeof body === "string"
    ? response.writeHead(status, { "content-type": "text/plain" }).end(body)
    : response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body(id)))

const error = (id: number | null | undefined, code: number, message: string) => ({
  jsonrpc: "2.0",
  id,
  error: { code, message }
})

/** A server of either transport. `answer` handles a POST, given its session; `false` leaves it to the fixture. */
interface Kind {
  readonly start: (answer: (arrival: Http.Arrival, session: string) => boolean) => ReturnType<typeof Http.start>
  readonly config: (url: string) => object
}

const kinds: Readonly<Record<"HTTP" | "SSE", Kind>> = {
  HTTP: {
    start: (answer) =>
      Http.start((arrival) => {
        const session = arrival.request.headers["mcp-session-id"]
        return typeof session === "string" && arrival.request.method === "POST" && answer(arrival, session)
      }),
    config: (url) => ({ transport: "streamable_http", url, protocol: "legacy" })
  },
  SSE: {
    start: (answer) => {
      let sessions = 0
      return Sse.start((arrival) => {
        const { method, url = "" } = arrival.request
        return method === "POST" && answer(arrival, `session-${new URL(url, "http://x").searchParams.get("session")}`)
      }, () => `event: endpoint\ndata: /messages?session=${++sessions}\n\n`)
    },
    config: (url) => ({ transport: "sse", url })
  }
}

/** A server that forgets its first session on command, and then refuses everything on it. */
const forgetful = (kind: Kind, refuse: Refuse) =>
  Effect.gen(function*() {
    const state = { isForgotten: false, ran: 0 }
    const server = yield* kind.start(({ message, response }, session) => {
      if (state.isForgotten && session === "session-1") {
        refuse(response, message.id)
        return true
      }
      if (message.method === "tools/call") state.ran++
      return false
    })
    return { server, state }
  })

/** A server that runs the tool, and then refuses the call. The session lives. */
const failing = (kind: Kind, refuse: Refuse) =>
  Effect.gen(function*() {
    const state = { ran: 0 }
    const server = yield* kind.start(({ message, response }) => {
      if (message.params?.name !== "fail") return false
      state.ran++
      refuse(response, message.id)
      return true
    })
    return { server, state }
  })

const reasonOf = <A>(call: Effect.Effect<A, SessionError.SessionError | ConfigError.ConfigError>) =>
  Effect.map(Effect.flip(call), (error) => error._tag === "SessionError" ? error.reason : assert.fail(error.message))

/** Shapes in which servers refuse sessions that they do not know. */
const rejecting: Readonly<Record<string, Refuse>> = {
  "404 with a JSON-RPC error": refusal(404, () => error(null, -32_001, "Session not found")),
  "404 with a JSON-RPC error for the request": refusal(404, (id) => error(id, -32_001, "Session not found")),
  "404 with text": refusal(404, "no such session"),
  "404 without a body": refusal(404),
  "400 with a JSON-RPC error": refusal(400, () => error(null, -32_000, "Bad Request: No valid session ID provided")),
  "400 with a JSON-RPC error for the request": refusal(400, (id) => error(id, -32_000, "No valid session")),
  "400 with an invalid request": refusal(400, (id) => error(id, -32_600, "Session not found")),
  "400 with text": refusal(400, "No transport found for sessionId"),
  "400 without a body": refusal(400),
  "410 with text": refusal(410, "gone")
}

const failures: Readonly<Record<string, Refuse>> = {
  "500 with a JSON-RPC error": refusal(500, () => error(null, -32_603, "Internal error")),
  "500 with text": refusal(500, "SSE connection not established"),
  "503 with text": refusal(503, "unknown session")
}

for (const [name, kind] of Object.entries(kinds)) {
  const using = <A, E>(server: Http.ScriptedHttp, use: (session: Session.Session) => Effect.Effect<A, E>) =>
    withSession(kind.config(server.url), use)

  describe(`a session over ${name}`, () => {
    for (const [shape, refuse] of Object.entries(rejecting)) {
      it.live(`is replaced when the server refuses it with ${shape}, and the tool runs once`, () =>
        Effect.gen(function*() {
          const { server, state } = yield* forgetful(kind, refuse)
          yield* using(server, (session) =>
            Effect.gen(function*() {
              yield* session.connect
              state.isForgotten = true
              yield* session.callTool("charge")
              assert.strictEqual(yield* session.generation, 2)
            }))
          assert.strictEqual(state.ran, 1)
          assert.strictEqual(server.count("POST initialize"), 2)
          assert.isAtMost(server.count("POST ping"), 1)
        }).pipe(Effect.scoped))
    }

    for (const [shape, refuse] of Object.entries(failures)) {
      it.live(`is replaced when the server refuses it with ${shape}, and the call that met it is in doubt`, () =>
        Effect.gen(function*() {
          const { server, state } = yield* forgetful(kind, refuse)
          yield* using(server, (session) =>
            Effect.gen(function*() {
              yield* session.connect
              state.isForgotten = true
              const reason = yield* reasonOf(session.callTool("charge"))
              assert.deepInclude(reason, { _tag: "OutcomeUnknown" })
              yield* session.callTool("charge")
              assert.strictEqual(yield* session.generation, 2)
            }))
          assert.strictEqual(server.count("POST tools/call charge"), 2)
          assert.strictEqual(state.ran, 1)
        }).pipe(Effect.scoped))
    }

    it.live("is asked once for all calls that it refused, and replaced once", () =>
      Effect.gen(function*() {
        const held: Array<() => void> = []
        const { server, state } = yield* forgetful(kind, (response, id) => {
          const refuse = () => refusal(400, "unknown session")(response, id)
          // The ping is refused once all calls were.
          if (id === undefined || id >= 1_000_000) refuse()
          else held.push(refuse)
        })
        yield* using(server, (session) =>
          Effect.gen(function*() {
            yield* session.connect
            state.isForgotten = true
            const calls = yield* Effect.forkChild(
              Effect.forEach(Array.from({ length: 20 }), () => session.callTool("charge"), {
                concurrency: "unbounded"
              }),
              { startImmediately: true }
            )
            yield* until(() => held.length + server.count("POST tools/call charge"), (count) => count === 21)
            for (const refuse of held) refuse()
            yield* Fiber.join(calls)
            assert.strictEqual(yield* session.generation, 2)
          }))
        assert.strictEqual(server.count("POST ping"), 1)
        assert.strictEqual(server.count("POST initialize"), 2)
        assert.strictEqual(state.ran, 20)
      }).pipe(Effect.scoped))

    for (
      const [what, refuse, tag, words] of [
        ["400 and text", refusal(400, "the mail failed after charging"), "HttpFailed", "the mail failed"],
        ["400 and JSON", refusal(400, () => ({ error: "the mail failed" })), "HttpFailed", "the mail failed"],
        ["409 without words", refusal(409), "HttpFailed", "HTTP 409"],
        [
          "400 and an error",
          refusal(400, () => error(null, -32_603, "the mail failed")),
          "ProtocolFailed",
          "the mail failed"
        ],
        [
          "400 and an error without id",
          refusal(400, () => error(undefined, -32_603, "no mail")),
          "ProtocolFailed",
          "no mail"
        ],
        [
          "400 and its error",
          refusal(400, (id) => error(id, -32_602, "n is missing")),
          "ProtocolFailed",
          "n is missing"
        ],
        [
          "500 and its error",
          refusal(500, (id) => error(id, -32_000, "n is missing")),
          "ProtocolFailed",
          "n is missing"
        ],
        ["500 and text", refusal(500, "the mail failed"), "OutcomeUnknown", "the mail failed"],
        ["503 and text", refusal(503, "Backend fetch failed"), "OutcomeUnknown", "Backend fetch failed"]
      ] as const
    ) {
      it.live(`stays when it answers a ping after a call failed with ${what}, and the tool runs once`, () =>
        Effect.gen(function*() {
          const { server, state } = yield* failing(kind, refuse)
          yield* using(server, (session) =>
            Effect.gen(function*() {
              const reason = yield* reasonOf(session.callTool("fail"))
              assert.strictEqual(reason._tag, tag)
              assert.include(reason.message, words)
              yield* session.callTool("charge")
              assert.strictEqual(yield* session.generation, 1)
            }))
          assert.strictEqual(state.ran, 1)
        }).pipe(Effect.scoped))
    }

    it.live("stays in doubt when the ping is refused in another way, and the tool runs once", () =>
      Effect.gen(function*() {
        let ran = 0
        const server = yield* kind.start(({ message, response }) => {
          if (message.method === "ping") refusal(405)(response, message.id)
          else if (message.method === "tools/call") {
            ran++
            refusal(400, "it failed")(response, message.id)
          } else return false
          return true
        })
        const reason = yield* reasonOf(using(server, (session) => session.callTool("charge")))
        assert.strictEqual(reason._tag, "OutcomeUnknown")
        assert.include(reason.message, "it failed")
        assert.strictEqual(ran, 1)
      }).pipe(Effect.scoped))

    it.live("is not believed lost for the call when it ends after the tool has run", () =>
      Effect.gen(function*() {
        let ran = 0
        const server = yield* kind.start(({ message, response }, session) => {
          if (session !== "session-1") return false
          if (message.method === "ping") refusal(400, "unknown session")(response, message.id)
          else if (message.method === "tools/call") {
            ran++
            refusal(400, "it failed after charging")(response, message.id)
          } else return false
          return true
        })
        yield* using(server, (session) =>
          Effect.gen(function*() {
            const reason = yield* reasonOf(session.callTool("charge"))
            assert.strictEqual(reason._tag, "OutcomeUnknown")
            yield* session.callTool("other")
            assert.strictEqual(yield* session.generation, 2)
          }))
        assert.strictEqual(ran, 1)
      }).pipe(Effect.scoped))

    it.live("lets other requests pass while it is asked, and the refused call be cancelled or time out", () =>
      Effect.gen(function*() {
        let ping: (() => void) | undefined
        let pings = 0
        const server = yield* kind.start(({ message, response }) => {
          if (message.params?.name === "fail") refusal(400, "it failed")(response, message.id)
          else if (message.method === "ping") {
            pings++
            ping = () => refusal(405)(response, message.id)
          } else return false
          return true
        })
        yield* using(server, (session) =>
          Effect.gen(function*() {
            const timed = yield* Effect.forkChild(
              reasonOf(session.callTool("fail", {}, { timeout: "200 millis" })),
              { startImmediately: true }
            )
            yield* until(() => pings, (pings) => pings === 1)
            const cancelled = yield* Effect.forkChild(session.callTool("fail"), { startImmediately: true })
            const waiting = yield* Effect.forkChild(reasonOf(session.callTool("fail")), { startImmediately: true })
            yield* until(() => server.count("POST tools/call fail"), (count) => count === 3)
            yield* session.callTool("other")
            yield* Fiber.interrupt(cancelled)
            assert.include((yield* Fiber.join(timed)).message, "got no response within 200 ms")
            ping?.()
            assert.strictEqual((yield* Fiber.join(waiting))._tag, "OutcomeUnknown")
          }))
        assert.strictEqual(server.count("POST tools/call fail"), 3)
      }).pipe(Effect.scoped))
  })
}

describe("a response over HTTP that is an error without the id of the request", () => {
  const body = (id: null | undefined) => error(id, -32_602, "n is missing")
  const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
    "JSON with id null": (response) => Http.json(response, body(null)),
    "JSON without id": (response) => Http.json(response, body(undefined)),
    "an event with id null": (response) => {
      Http.stream(response, Http.event(body(null)))
      response.end()
    },
    "an event without id": (response) => {
      Http.stream(response, Http.event(body(undefined)))
      response.end()
    }
  }
  for (const [what, answer] of Object.entries(answers)) {
    for (const protocol of ["legacy", "2026-07-28"]) {
      it.live(`is the response to the request: ${what} (${protocol})`, () =>
        Effect.gen(function*() {
          const handle = ({ message, response }: Http.Arrival) => {
            if (message.method !== "tools/call") return false
            answer(response)
            return true
          }
          const server = yield* Http.start(protocol === "legacy" ? handle : Http.modern(handle))
          const config = { transport: "streamable_http", url: server.url, protocol }
          const reason = yield* reasonOf(withSession(config, (session) => session.callTool("charge")))
          assert.deepInclude(reason, { _tag: "ProtocolFailed", code: -32_602, description: "n is missing" })
          assert.strictEqual(server.count("POST tools/call charge"), 1)
        }).pipe(Effect.scoped))
    }
  }
})

describe("a handshake that is refused", () => {
  for (const method of ["initialize", "notifications/initialized"]) {
    for (const [name, kind] of Object.entries(kinds)) {
      it.live(`says what the server said, without secrets: ${method} over ${name}`, () =>
        Effect.gen(function*() {
          const start = name === "SSE" ? kind.start : Http.start
          const server = yield* start(({ message, response }: Http.Arrival) => {
            if (message.method !== method) return false
            refusal(422, "send a version, not Bearer s3cret-token")(response, message.id)
            return true
          })
          const config = { ...kind.config(server.url), headers: { authorization: "Bearer s3cret-token" } }
          const reason = yield* reasonOf(withSession(config, () => Effect.void))
          assert.deepInclude(reason, { _tag: "HttpFailed", status: 422, delivery: "NotSent" })
          assert.strictEqual(reason.message, "the server responded with HTTP 422: send a version, not <redacted>")
        }).pipe(Effect.scoped))
    }
  }

  it.live("fails where the response to initialize has a result and an error, with the words of the server", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ message, response }) => {
        if (message.method !== "initialize") return false
        const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "x", version: "1" } }
        Http.json(response, { ...error(message.id, -32_603, "the licence has expired"), result })
        return true
      })
      const config = { transport: "streamable_http", url: server.url, protocol: "legacy" }
      const reason = yield* reasonOf(withSession(config, () => Effect.void))
      assert.strictEqual(reason._tag, "HandshakeFailed")
      assert.include(reason.message, "the licence has expired")
    }).pipe(Effect.scoped))
})
