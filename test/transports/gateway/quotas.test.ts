/**
 * The places of requests in flight: all of them are given back, also by requests that are refused, cut off or slow.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { connect, type Socket } from "node:net"
import { FairShare } from "../../../packages/transports/src/internal/gateway/admission/fairShare.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { modernRequest } from "../../fixtures/modernRequest.ts"
import { until } from "../../fixtures/peer.ts"

const token = "the-token-of-alice"
const other = "the-token-of-bob-too"
const tokens = { alice: Redacted.make(token), bob: Redacted.make(other) }

/** Sends a request until its response has a status. */
const untilStatus = (wanted: number, sent: ReturnType<typeof post>) =>
  Effect.repeat(sent, { until: ({ status }) => status === wanted })

/** Sends the head of a POST with a part of its body, and gives the socket and what was received. */
const slowPost = (port: number, { body = "", length }: { readonly body?: string; readonly length: number }) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly socket: Socket; readonly text: () => string }>((resume) => {
      let text = ""
      const socket = connect(port, "127.0.0.1", () => {
        socket.write(
          [
            "POST /mcp HTTP/1.1",
            `host: 127.0.0.1:${port}`,
            `authorization: Bearer ${token}`,
            "content-type: application/json",
            `content-length: ${length}`,
            "",
            body
          ].join("\r\n"),
          () => resume(Effect.succeed({ socket, text: () => text }))
        )
      })
      socket.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
      }).on("error", () => {})
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

describe("a POST whose body is being read", () => {
  it.live("has a place, so another one of its principal is refused until it is cut off", () =>
    Effect.gen(function*() {
      const { port, url } = yield* startGateway({}, { tokens, limits: { maxInFlightPerPrincipal: 1 } })
      const slow = yield* slowPost(port, { length: 100, body: "{" })
      const refused = yield* untilStatus(429, post(url, initialize, { token }))
      assert.strictEqual(refused.headers["retry-after"], "1")
      assert.strictEqual((yield* post(url, initialize, { token: other })).status, 200)
      slow.socket.destroy()
      yield* untilStatus(200, post(url, initialize, { token }))
    }))

  it.live("is refused once the bodies of its principal have too many bytes, and they are given back", () =>
    Effect.gen(function*() {
      const limits = { maxBodyBytes: 1000, maxInFlightBytesPerPrincipal: 1000 }
      const { port, url } = yield* startGateway({}, { tokens, limits })
      const first = yield* slowPost(port, { length: 900, body: "x".repeat(700) })
      const second = yield* slowPost(port, { length: 900, body: "x".repeat(700) })
      const all = () => [first, second].map(({ text }) => text()).join("")
      yield* until(all, (text) => text.includes("\r\n\r\n"))
      assert.match(all(), /^HTTP\/1\.1 429 /)
      assert.match(all(), /\r\nretry-after: 1\r\n/i)
      for (const { socket } of [first, second]) socket.destroy()
      yield* untilStatus(200, post(url, { ...initialize, filler: "x".repeat(700) }, { token }))
    }))

  it.live("needs limits of bytes that one body fits in", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(startGateway({}, { limits: { maxBodyBytes: 1000, maxInFlightBytes: 999 } }))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.deepStrictEqual(error.problems.map(({ path }) => path), [["limits", "maxInFlightBytes"]])
      const large = 128 * 1024 ** 2
      yield* startGateway({}, { limits: { maxBodyBytes: large } })
    }))
})

describe("a POST that is refused", () => {
  it.live("gives its place back, whatever is wrong with it", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({}, {
        limits: { maxInFlightPerPrincipal: 1, maxSessionsPerPrincipal: 1, maxBodyBytes: 4096 }
      })
      const { session } = yield* post(url, initialize)
      const statuses = yield* Effect.forEach([
        post(url, "{", { session }),
        post(url, "\xff", { session }),
        post(url, call(1, "echo", { text: "x".repeat(5000) }), { session }),
        post(url, call(1, "echo"), {}),
        post(url, call(1, "echo"), { session: "unknown" }),
        post(url, call(1, "echo"), { session, headers: { "mcp-protocol-version": "1999-01-01" } }),
        post(url, { ...initialize, params: {} }),
        post(url, initialize),
        post(url, { jsonrpc: "2.0", method: "notifications/initialized" }, { session }),
        modernRequest(url, "server/discover"),
        modernRequest(url, "no/such"),
        modernRequest(url, "tools/list", {}, { headers: { "mcp-method": "tools/call" } }),
        modernRequest(url, "tools/list")
      ], (sent) => Effect.map<{ readonly status: number }, number>(({ status }) => status)(sent))
      assert.deepStrictEqual(statuses, [400, 400, 413, 400, 404, 400, 400, 429, 202, 200, 404, 400, 429])
      assert.strictEqual((yield* post(url, { jsonrpc: "2.0", id: 9, method: "ping" }, { session })).status, 200)
    }))

  it.live("for too many subscriptions says when to send it again", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({})
      const resourceSubscriptions = Array.from({ length: 257 }, (_, n) => `note://${n}`)
      const params = {
        notifications: { resourceSubscriptions },
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "bare", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": {}
        }
      }
      const { headers, status } = yield* post(url, { jsonrpc: "2.0", id: 1, method: "subscriptions/listen", params }, {
        headers: { "mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen" }
      })
      assert.deepStrictEqual([status, headers["retry-after"]], [429, "1"])
    }))
})

describe("a request with a revision that the gateway does not speak", () => {
  for (const method of ["POST", "GET", "DELETE"]) {
    it.live(`is refused with 400 and the revisions that it does, as a ${method}`, () =>
      Effect.gen(function*() {
        const { url } = yield* startGateway({})
        const { session } = yield* post(url, initialize)
        const body = method === "POST" ? call(1, "echo") : undefined
        const headers = { "mcp-protocol-version": "1999-01-01" }
        const { status, text } = yield* post(url, body, { method, session, headers })
        assert.strictEqual(status, 400)
        assert.deepStrictEqual(JSON.parse(text).error.data, {
          supported: ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"],
          requested: "1999-01-01"
        })
        assert.strictEqual((yield* post(url, undefined, { method: "DELETE", session })).status, 200)
      }))
  }
})

describe("a fair share", () => {
  it("admits a principal below its equal share while all is in use, and no other", () => {
    const share = new FairShare({ limit: 100, limitPerPrincipal: 80 })
    assert.isDefined(share.take("greedy", 80))
    assert.isUndefined(share.take("greedy", 1))
    assert.isDefined(share.take("modest", 40))
    assert.isDefined(share.take("modest", 40))
    assert.isUndefined(share.take("late", 81))
    assert.isDefined(share.take("late", 10))
  })

  it("gives back once what was taken, however often it ends, and takes nothing after the end", () => {
    const share = new FairShare({ limit: 10, limitPerPrincipal: 10 })
    const [one, two] = [share.take("alice", 3), share.take("alice")]
    assert.isTrue(one?.grow(2))
    assert.isFalse(one?.grow(5))
    assert.strictEqual(share.used, 6)
    one?.end()
    one?.end()
    assert.isFalse(one?.grow(1))
    assert.strictEqual(share.used, 1)
    two?.end()
    assert.strictEqual(share.used, 0)
  })
})
