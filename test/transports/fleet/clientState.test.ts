/**
 * The state of a client that moves with its session.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { restore, stateOf } from "../../../packages/transports/src/internal/fleet/clientState.ts"
import { ClientLog } from "../../../packages/transports/src/internal/gateway/client/clientLog.ts"
import type { ClientSession } from "../../../packages/transports/src/internal/gateway/client/clientSession.ts"
import { Subscriptions } from "../../../packages/transports/src/internal/gateway/client/subscriptions.ts"
import { withLogs } from "../../fixtures/logs.ts"

/** A client of one owner, at which no server has a resource. */
const make = (session: string) =>
  Effect.map(Effect.scope, (scope) => {
    const parts = { scope, onChange: () => {} }
    const client: unknown = {
      principal: "alice",
      scope,
      resumable: { session },
      upstreams: { own: new Set() },
      lists: { offer: { serverOf: () => undefined } },
      log: new ClientLog(parts),
      subscriptions: new Subscriptions(parts)
    }
    return client as ClientSession
  })

const source = {
  server: "only",
  follow: (established: Effect.Effect<void>) => Effect.andThen(established, Effect.never)
}

describe("the state of a client", () => {
  it.effect("sets the log level at the next owner, unless the client has set one there, and the same owner ignores it", () =>
    Effect.gen(function*() {
      const before = yield* make("before")
      yield* before.log.set("error", [])
      const [after, other] = [yield* make("after"), yield* make("other")]
      yield* other.log.set("debug", [])
      for (const client of [after, other, yield* make("before")]) yield* restore(client, stateOf(before))
      const same = yield* make("before")
      yield* restore(same, stateOf(before))
      assert.deepStrictEqual([after, other, same].map(({ log }) => log.level), ["error", "debug", undefined])
    }))

  it.effect("that is not readable is logged, and the state of a client that has none is not", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const client = yield* make("after")
        yield* restore(client, "")
        assert.isEmpty(logs)
        const bad = ["{", "{}", JSON.stringify({ session: "before", logLevel: "loud", subscriptions: [] })]
        for (const text of bad) yield* restore(client, text)
        assert.lengthOf(logs, 3)
        for (const log of logs) assert.match(log, /^Warn the log level and the subscriptions of .* alice are lost/)
      })
    ))

  it.effect("has subscriptions that are logged if they cannot be made again", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const before = yield* make("before")
        yield* before.subscriptions.add("note://1", source)
        yield* restore(yield* make("after"), stateOf(before))
        yield* Effect.yieldNow
        assert.deepStrictEqual(logs, ["Warn a subscription of a session of alice is lost: no server has this resource"])
      })
    ))
})
