/**
 * The sessions of one client at servers.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Session } from "@mcp-sessions/core"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { Upstreams } from "../../../packages/transports/src/internal/gateway/client/upstreams.ts"

/** The sessions of a client, each of which opens once it may. */
const start = (mayOpen: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    let opened = 0
    const upstreams = new Upstreams({
      scope,
      shared: () => undefined,
      open: (server) => Effect.map(mayOpen, () => ({ server, number: ++opened }) as unknown as Session.Session),
      prepare: () => Effect.void,
      attend: () => Effect.void
    })
    return { upstreams, opened: () => opened, close: Scope.close(scope, Exit.void) }
  })

describe("the session of a client at a server", () => {
  it.effect("is opened once for concurrent requests, and goes on to open when the first of them is cancelled", () =>
    Effect.gen(function*() {
      const mayOpen = yield* Deferred.make<void>()
      const { opened, upstreams } = yield* start(Deferred.await(mayOpen))
      const get = Effect.forkChild(upstreams.get("a"), { startImmediately: true })
      const [first, second] = [yield* get, yield* get]
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(mayOpen, undefined)
      const session = yield* Fiber.join(second)
      assert.strictEqual(yield* upstreams.get("a"), session)
      assert.strictEqual(upstreams.ready("a"), session)
      assert.strictEqual(opened(), 1)
    }))

  it.effect("fails with SessionClosed once the session of the client has closed, and while it opens", () =>
    Effect.gen(function*() {
      const { close, upstreams } = yield* start(Effect.never)
      const opening = yield* Effect.forkChild(Effect.flip(upstreams.get("a")), { startImmediately: true })
      yield* close
      for (const error of [yield* Fiber.join(opening), yield* Effect.flip(upstreams.get("a"))]) {
        assert.strictEqual(error._tag === "SessionError" ? error.reason._tag : error._tag, "SessionClosed")
      }
    }))
})
