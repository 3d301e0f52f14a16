/**
 * What a gateway and a dashboard leave when their scopes have closed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Sessions } from "@mcp-sessions/core"
import { Dashboard, Transports } from "@mcp-sessions/transports"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { tryPost } from "../../fixtures/gatewayFleet.ts"
import { until } from "../../fixtures/peer.ts"

/** An effect that never ends, and a flag that says whether it was interrupted. */
const endless = () => {
  const seen = { hasBegun: false, isInterrupted: false }
  const effect = Effect.andThen(
    Effect.sync(() => {
      seen.hasBegun = true
    }),
    Effect.onInterrupt(Effect.never, () =>
      Effect.sync(() => {
        seen.isInterrupted = true
      }))
  )
  return { seen, effect }
}

/** Waits until a gateway takes no connections. */
const untilRefused = (url: string) =>
  Effect.repeat(tryPost(url.replace("/mcp", "/healthz"), undefined, { method: "GET" }), {
    until: (response) => response === undefined
  })

describe("a gateway whose scope has closed", () => {
  it.live("has interrupted what it ran in the background", () =>
    Effect.gen(function*() {
      const { effect, seen } = endless()
      yield* Effect.scoped(Effect.andThen(
        startGateway({}, { ui: true, onPageUrl: () => effect }),
        until(() => seen.hasBegun, (hasBegun) => hasBegun)
      ))
      assert.isTrue(seen.isInterrupted)
    }))

  it.live("has given the audit the records of all calls, also of those that ended with it", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const records: Array<string> = []
      const mayTake = yield* Deferred.make<void>()
      const scope = yield* Scope.fork(yield* Effect.scope)
      const gateway = startGateway({ only: server.config }, {
        drainTimeout: "1 minute",
        audit: (record) =>
          Effect.andThen(
            Deferred.await(mayTake),
            Effect.sync(() => void (record._tag === "Used" && records.push(`${record.name} ${record.outcome}`)))
          )
      })
      const { url } = yield* Scope.provide(gateway, scope)
      const { session } = yield* post(url, initialize)
      yield* post(url, call(1, "count"), { session })
      const calling = yield* Effect.forkChild(post(url, call(2, "slow"), { session }))
      yield* until(server.waiting, (waiting) => waiting === 1)
      yield* post(url, undefined, { session, method: "DELETE" })
      yield* Fiber.join(calling)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* untilRefused(url)
      assert.deepStrictEqual(records, [])
      yield* Deferred.succeed(mayTake, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(records, ["count Succeeded", "slow Cancelled"])
    }))
})

describe("a dashboard whose scope has closed", () => {
  it.live("has interrupted what it ran in the background", () =>
    Effect.gen(function*() {
      const { effect, seen } = endless()
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        yield* Effect.scoped(Effect.andThen(
          Dashboard.serve({ sessions, title: "test", onUrl: () => effect }),
          until(() => seen.hasBegun, (hasBegun) => hasBegun)
        ))
        assert.isTrue(seen.isInterrupted)
      }).pipe(Effect.provide(Sessions.layer({ servers: {} }).pipe(Layer.provide(Transports.layer))))
    }))
})
