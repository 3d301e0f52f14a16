/**
 * The warnings of servers that a gateway cannot list.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { Catalog } from "../../../packages/transports/src/internal/gateway/catalog/catalog.ts"

const failed = (reason: SessionError.Reason) => new SessionError.SessionError({ server: "a", reason })
let port = 0
/** Its message is another one at each attempt. */
const refused = () => new SessionError.ConnectionRefused({ address: `127.0.0.1:${++port}`, code: "ECONNREFUSED" })
const closed = () => new SessionError.TransportClosed({ delivery: "NotSent" })

/** A catalog whose server fails with the latest reason, and the messages that were logged. */
const start = Effect.fnUntraced(function*(first: () => SessionError.Reason) {
  const at = { reason: first, attempts: 0 }
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => void warnings.push(String(Array.isArray(message) ? message[0] : message)))
  const catalog = new Catalog({
    servers: ["a"],
    isOffered: () => true,
    hasPrefix: false,
    hasResources: () => true,
    open: () =>
      Effect.suspend(() => {
        at.attempts++
        return Effect.fail(failed(at.reason()))
      })
  })
  yield* Effect.provide(catalog.follow, Logger.layer([logger]))
  return { at, warnings }
})

describe("a server that cannot be listed", () => {
  it.effect("is logged once for each change of the reason, and not at each attempt", () =>
    Effect.gen(function*() {
      const { at, warnings } = yield* start(refused)
      yield* TestClock.adjust("10 minutes")
      assert.isAbove(at.attempts, 5)
      assert.deepStrictEqual(warnings, ["a cannot be listed yet"])
      at.reason = closed
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(warnings, ["a cannot be listed yet", "a cannot be listed yet"])
    }))
})
