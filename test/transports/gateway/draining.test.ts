/**
 * What a gateway answers between the begin of its end and its end.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { tryPost } from "../../fixtures/gatewayFleet.ts"
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

  it.live("refuses new sessions with the time to wait, and handles requests of the sessions that it has", () =>
    Effect.gen(function*() {
      const { closing, finish, session, url } = yield* startStopping
      const refused = yield* post(url, initialize)
      assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [503, "1"])
      const answered = yield* post(url, call(2, "count"), { session })
      assert.deepStrictEqual([answered.status, answered.headers.connection], [200, "close"])
      assert.include(answered.text, "counted")
      yield* finish
      yield* Fiber.join(closing)
    }))
})
