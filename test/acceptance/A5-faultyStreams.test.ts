/**
 * A5, faulty streams: they end without a response, break off, close at once, or arrive with Retry-After.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type SessionError } from "@mcp-sessions/core"
import { Effect, Queue } from "effect"
import { until } from "../fixtures/peer.ts"
import { read } from "../fixtures/read.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import { withServer } from "../fixtures/withSession.ts"

const isCall = ({ message }: Http.Arrival) => message.method === "tools/call"

const lostIn = ({ reason }: SessionError.SessionError) =>
  reason._tag === "OutcomeUnknown" ? reason.lost._tag : reason._tag

const note = { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "still at it" } }

/** The delays between requests of one kind, in milliseconds. */
const pauses = (server: Http.ScriptedHttp, kind: string) => {
  const times = server.ledger.filter(({ what }) => what === kind).map(({ at }) => at)
  return times.slice(1).map((at, index) => at - (times[index] ?? 0))
}

describe.concurrent("A5: the HTTP client", () => {
  for (const era of ["legacy", "modern"] as const) {
    it.live(`fails a call at once, without a repeat, when its stream ends without the response (i, ${era})`, () =>
      Effect.gen(function*() {
        const handle = (arrival: Http.Arrival) => {
          if (!isCall(arrival)) return false
          Http.stream(arrival.response, Http.event(note))
          arrival.response.end()
          return true
        }
        const { server, value } = yield* withServer(
          era === "legacy" ? handle : Http.modern(handle),
          (session) => Effect.flip(session.callTool("charge")),
          { config: { protocol: era === "legacy" ? "legacy" : "2026-07-28" } }
        )
        assert.strictEqual(lostIn(value), "ResponseLost")
        assert.strictEqual(server.count("POST tools/call charge"), 1)
      }))
  }

  it.live("resumes the stream of a call that breaks off after event 7, and delivers each event once (iii)", () =>
    Effect.gen(function*() {
      let call: Http.Arrival | undefined
      const seen: Array<number> = []
      const report = (progress: number) => {
        const { progressToken } = (call?.message.params?._meta ?? {}) as { readonly progressToken?: number }
        const message = { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken, progress } }
        return Http.event(message, String(progress))
      }
      const { server, value } = yield* withServer((arrival) => {
        if (isCall(arrival)) {
          call = arrival
          Http.stream(arrival.response, "retry: 10\n", ...[1, 2, 3, 4, 5, 6, 7].map(report))
          return true
        }
        if (arrival.request.headers["last-event-id"] === undefined) return false
        Http.stream(
          arrival.response,
          ...[8, 9, 10].map(report),
          Http.event(Http.toolResult(call?.message.id, "done"), "11")
        )
        arrival.response.end()
        return true
      }, (session) =>
        session.callTool("count", {}, {
          onProgress: ({ progress }) => {
            seen.push(progress)
            if (progress === 7) call?.request.socket.resetAndDestroy()
          }
        }))
      assert.deepStrictEqual(value.content, [{ type: "text", text: "done" }])
      assert.deepStrictEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      assert.strictEqual(server.count("POST tools/call count"), 1)
      assert.deepStrictEqual(server.ledger.flatMap(({ headers }) => headers["last-event-id"] ?? []), ["7"])
    }))

  it.live("resumes the stream of server notifications after event 7, and delivers each notification once (iii)", () =>
    Effect.gen(function*() {
      let first: Http.Arrival | undefined
      const log = (data: number) =>
        Http.event({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data } }, String(data))
      const { server, value } = yield* withServer((arrival) => {
        const { request, response } = arrival
        if (request.method !== "GET") return false
        if (request.headers["last-event-id"] === undefined) {
          first = arrival
          Http.stream(response, "retry: 10\n")
        } else Http.stream(response, ...[8, 9, 10].map(log))
        return true
      }, (session) =>
        Effect.scoped(Effect.gen(function*() {
          const notifications = yield* read(session.notifications)
          assert.strictEqual((yield* Queue.take(notifications))._tag, "Listening")
          yield* until(() => first !== undefined, (isThere) => isThere)
          for (const number of [1, 2, 3, 4, 5, 6, 7]) first?.response.write(log(number))
          const before = yield* Queue.takeN(notifications, 7)
          first?.request.socket.resetAndDestroy()
          const after = yield* Queue.takeN(notifications, 3)
          yield* session.callTool("charge")
          return [...before, ...after, ...(yield* Queue.clear(notifications))]
        })))
      assert.deepStrictEqual(
        value.map((notification) => notification._tag === "LogMessage" && notification.data),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
      )
      const places = server.ledger.filter(({ what }) => what === "GET").map(({ headers }) => headers["last-event-id"])
      assert.deepStrictEqual(places, [undefined, "7"])
      assert.strictEqual(server.count("POST initialize"), 1)
    }))

  // streamBackoff.test.ts tests the growth of the delay to a minute: 7 requests in the first minute, then one per minute.
  it.live("reopens a stream that closes at once after growing delays, and warns the user (iv)", () =>
    Effect.gen(function*() {
      const { server } = yield* withServer(
        ({ request, response }) => {
          if (request.method !== "GET") return false
          Http.stream(response, "retry: 0\ndata: \n\n")
          response.end()
          return true
        },
        (session, server) =>
          Effect.gen(function*() {
            assert.deepStrictEqual((yield* session.connect).warnings, [])
            yield* until(() => server.count("GET"), (count) => count === 4)
            yield* session.callTool("charge")
            const [warning] = (yield* session.connect).warnings
            assert.include(warning, "closed the stream of its own messages")
          })
      )
      const [first = 0, second = 0, third = 0] = pauses(server, "GET")
      assert.isAtLeast(first, 490)
      assert.isAtLeast(second, 990)
      assert.isAtLeast(third, 1990)
    }))

  for (const status of [429, 503]) {
    for (const [what, kind] of [["call", "POST tools/call charge"], ["handshake", "POST initialize"]] as const) {
      it.live(`sends the ${what} again after ${status} when the Retry-After delay is over, and not before (v)`, () =>
        Effect.gen(function*() {
          let turnedAway = 0
          let ran = 0
          const { server } = yield* withServer(
            ({ message, response }) => {
              const isIt = kind.startsWith(`POST ${message.method}`)
              if (isIt && turnedAway === 0) {
                turnedAway++
                response.writeHead(status, { "retry-after": "1" }).end()
                return true
              }
              if (message.method === "tools/call") ran++
              return false
            },
            // A tool may have run before a 503.
            (session) => session.callTool("charge", {}, { idempotent: status === 503 }),
            { retry: RetryPolicy.spaced({ retries: 1, delay: 0 }) }
          )
          assert.strictEqual(ran, 1)
          const [pause = 0, ...more] = pauses(server, kind)
          assert.isAtLeast(pause, 990)
          assert.deepStrictEqual(more, [])
        }))
    }
  }
})
