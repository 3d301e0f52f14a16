/**
 * Requests of the engine over HTTP: when they count as written, and how they fail.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Connection, SessionError } from "@mcp-sessions/core"
import { Effect } from "effect"
import { once } from "node:events"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { givenHeaders } from "../../../packages/transports/src/internal/http/httpEndpoint.ts"
import { targetOf } from "../../../packages/transports/src/internal/http/httpExchange.ts"
import { HttpTransport } from "../../../packages/transports/src/internal/http/httpTransport.ts"
import { dispatching } from "../../fixtures/dispatching.ts"
import { outgoing } from "../../fixtures/outgoing.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const { Agent } = createRequire(new URL("../../../packages/transports/package.json", import.meta.url))("undici")

const agent = Effect.acquireRelease(
  Effect.sync(() => new Agent()),
  (agent) => Effect.promise(() => agent.destroy())
)

const connect = (url: string) =>
  Effect.acquireRelease(
    Effect.map(agent, (dispatcher) =>
      new HttpTransport({
        connections: dispatching(dispatcher),
        maxBytes: 1024,
        authorizer: undefined,
        target: targetOf(new URL(url)),
        given: givenHeaders({ "x-key": "s3cret" }),
        timeOfDay: () => 0,
        redact: (text) => text.replaceAll("s3cret", "<redacted>"),
        refusalError: ({ status }) => new Error(String(status))
      })),
    (transport) => Effect.promise(() => transport.close())
  )

/** Sends a tool call, and waits for its failure. `call` is settled by nobody: the transport tells the receiver. */
const fail = (transport: HttpTransport) =>
  Effect.callback<{ readonly call: Connection.OutgoingRequest; readonly reason: SessionError.RequestReason }>(
    (resume) => {
      transport.receiver = {
        take: () => true,
        fail: (call, reason) => resume(Effect.succeed({ call, reason }))
      }
      const params = { name: "charge" }
      const call = outgoing({ params, id: 1_000_000 })
      const message = { jsonrpc: "2.0" as const, id: 1_000_000, method: "tools/call", params }
      transport.sendRequest(call, JSON.stringify(message), message)
    }
  )

describe("a request over HTTP", () => {
  it.live("is not written where nobody listens", () =>
    Effect.gen(function*() {
      const { call, reason } = yield* fail(yield* connect("http://127.0.0.1:1/"))
      assert.deepInclude(reason, { _tag: "ConnectionRefused", delivery: "NotSent" })
      assert.isFalse(call.isWritten)
    }).pipe(Effect.scoped))

  it.live("is written once the server has accepted the connection, and its outcome is unknown", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = createServer((socket) => {
            socket.on("error", () => {}).on("data", () => socket.resetAndDestroy())
          }).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = server.address()
      const port = typeof address === "object" ? address?.port : 0
      const { call, reason } = yield* fail(yield* connect(`http://127.0.0.1:${port}/`))
      assert.deepInclude(reason, { _tag: "TransportFailed", delivery: "Unknown" })
      assert.isTrue(call.isWritten)
    }).pipe(Effect.scoped))

  it.live("stays in doubt when the server is gone while its response stream is resumed", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ request, response }) => {
        if (request.method === "POST") {
          Http.stream(response, "id: 1\nretry: 1\ndata: \n\n")
          response.end()
        } else response.writeHead(503).end()
        return true
      })
      const { call, reason } = yield* fail(yield* connect(server.url))
      assert.deepInclude(reason, { _tag: "ResponseLost", delivery: "Unknown" })
      assert.isTrue(call.isWritten)
    }).pipe(Effect.scoped))

  it.live("is left to the engine if the transport is closed", () =>
    Effect.gen(function*() {
      const transport = yield* connect("http://127.0.0.1:1/")
      yield* Effect.promise(() => transport.close())
      const waiting = yield* Effect.timeoutOption(fail(transport), "50 millis")
      assert.strictEqual(waiting._tag, "None")
    }).pipe(Effect.scoped))

  it.live("counts events without a message in a warning that quotes no secret", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ response }) => {
        Http.stream(response, "data: not JSON, s3cret\n\n", "data: {}\n\n")
        response.end()
        return true
      })
      const transport = yield* connect(server.url)
      yield* fail(transport)
      assert.deepStrictEqual(transport.warnings(), [
        "sent 2 events without a JSON-RPC message, first: \"not JSON, <redacted>\""
      ])
    }).pipe(Effect.scoped))
})
