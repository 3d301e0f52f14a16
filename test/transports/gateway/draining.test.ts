/**
 * What a gateway answers between the begin of its end and its end.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { tryPost } from "../../fixtures/gatewayFleet.ts"
import { modernRequest } from "../../fixtures/modernRequest.ts"
import { until } from "../../fixtures/peer.ts"

/** A gateway that stops while a call is in flight. */
const startStopping = Effect.gen(function*() {
  const server = yield* startFleetServer
  const scope = yield* Scope.fork(yield* Effect.scope)
  const { url } = yield* Scope.provide(startGateway({ only: server.config }, { drainTimeout: "1 minute" }), scope)
  const at = (path: string) => post(url.replace("/mcp", path), undefined, { method: "GET" })
  const { session } = yield* post(url, initialize)
  const calling = yield* Effect.forkChild(post(url, call(1, "slow"), { session }))
  yield* until(server.waiting, (waiting) => waiting === 1)
  assert.strictEqual((yield* at("/readyz")).status, 200)
  const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
  yield* Effect.repeat(at("/readyz"), { until: ({ status }) => status === 503 })
  return { at, calling, closing, finish: server.finish, session, url }
})

describe("a gateway that stops", () => {
  it.live("answers 503 at /readyz and 200 at /healthz, and takes no connection once its requests are over", () =>
    Effect.gen(function*() {
      const { at, calling, closing, finish, url } = yield* startStopping
      assert.strictEqual((yield* at("/readyz")).text, "{\"status\":\"stopping\"}")
      assert.strictEqual((yield* at("/healthz")).status, 200)
      yield* finish
      assert.include((yield* Fiber.join(calling)).text, "done")
      yield* Fiber.join(closing)
      assert.isUndefined(yield* tryPost(url, initialize))
    }))

  it.live("refuses new sessions and requests with the time to wait, and takes what belongs to earlier requests", () =>
    Effect.gen(function*() {
      const { calling, closing, session, url } = yield* startStopping
      for (const [message, sent] of [[initialize, {}], [call(2, "count"), { session }]] as const) {
        const { headers, status, text } = yield* post(url, message, sent)
        assert.deepStrictEqual([status, headers["retry-after"], headers.connection], [503, "1", "close"])
        assert.deepInclude(JSON.parse(text).error.data, { reason: "GatewayStopping", delivery: "NotSent" })
      }
      const { text } = yield* modernRequest(url, "tools/call", { name: "count" }).pipe(
        Effect.map((response) => ({ text: JSON.stringify(response) }))
      )
      assert.include(text, "GatewayStopping")
      const cancelled = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } }
      assert.strictEqual((yield* post(url, cancelled, { session })).status, 202)
      yield* Fiber.join(calling)
      yield* Fiber.join(closing)
    }))
})
