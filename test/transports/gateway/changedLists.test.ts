/**
 * The lists of a client's own session that change.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Session, SessionError } from "@mcp-sessions/core"
import { Effect, Queue } from "effect"
import { TestClock } from "effect/testing"
import type { ChangedList } from "../../../packages/transports/src/internal/gateway/catalog/catalog.ts"
import { followChanges } from "../../../packages/transports/src/internal/gateway/client/changedLists.ts"
import type { ClientSession } from "../../../packages/transports/src/internal/gateway/client/clientSession.ts"
import { withLogs } from "../../fixtures/logs.ts"

const failure = (reason: SessionError.Reason) => new SessionError.SessionError({ server: "only", reason })

const closed = failure(new SessionError.TransportClosed({ delivery: "Unknown" }))

/** Follows the lists of a server whose answers are those of the queue. */
const start = Effect.gen(function*() {
  const answers = yield* Queue.unbounded<Effect.Effect<void, SessionError.SessionError>>()
  const fetched: Array<ChangedList> = []
  const sent: Array<string> = []
  const client = {
    lists: {
      fetch: (_: unknown, list: ChangedList) =>
        Effect.andThen(Effect.sync(() => fetched.push(list)), Effect.flatten(Queue.take(answers)))
    },
    listListeners: new Set(),
    send: (message: string) => void sent.push((JSON.parse(message) as { readonly method: string }).method)
  } as unknown as ClientSession
  const onChange = yield* followChanges(client, { server: "only" } as Session.Session)
  return { onChange, fetched, sent, answers }
})

describe("a list that has changed", () => {
  it.effect("is fetched again until that succeeds, and only then the client is notified", () =>
    Effect.gen(function*() {
      const { answers, fetched, onChange, sent } = yield* start
      for (let failures = 0; failures < 5; failures++) yield* Queue.offer(answers, Effect.fail(closed))
      yield* Queue.offer(answers, Effect.void)
      onChange("tools")
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(fetched, 6)
      assert.deepStrictEqual(sent, ["notifications/tools/list_changed"])
    }))

  it.effect("is fetched again at the next change after a defect, which is logged", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const { answers, onChange, sent } = yield* start
        yield* Queue.offer(answers, Effect.die("a fault"))
        onChange("tools")
        yield* Effect.yieldNow
        assert.isTrue(logs.some((line) => line.includes("failed to fetch the changed tools of only")))
        yield* Queue.offer(answers, Effect.void)
        onChange("tools")
        yield* Effect.yieldNow
        assert.deepStrictEqual(sent, ["notifications/tools/list_changed"])
      })
    ))

  it.effect("does not wait for another one that cannot be fetched", () =>
    Effect.gen(function*() {
      const { answers, onChange, sent } = yield* start
      yield* Queue.offer(answers, Effect.fail(closed))
      onChange("resources")
      yield* Effect.yieldNow
      yield* Queue.offer(answers, Effect.void)
      onChange("tools")
      yield* Effect.yieldNow
      assert.deepStrictEqual(sent, ["notifications/tools/list_changed"])
    }))

  it.effect("is fetched once more for all changes that arrive while it is fetched", () =>
    Effect.gen(function*() {
      const { answers, fetched, onChange, sent } = yield* start
      for (let change = 0; change < 5; change++) onChange("tools")
      yield* Effect.yieldNow
      yield* Queue.offerAll(answers, [Effect.void, Effect.void])
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(fetched, 2)
      assert.lengthOf(sent, 2)
    }))

  it.effect("is logged if the server does not have it, and is fetched after the next change", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const { answers, fetched, onChange, sent } = yield* start
        const unsupported = new SessionError.Unsupported({ method: "tools/list", description: "no tools" })
        yield* Queue.offer(answers, Effect.fail(failure(unsupported)))
        onChange("tools")
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual([fetched.length, sent.length], [1, 0])
        assert.match(logs.join(), /^Warn the changed tools of only cannot be fetched/)
        yield* Queue.offer(answers, Effect.void)
        onChange("tools")
        yield* Effect.yieldNow
        assert.lengthOf(sent, 1)
      })
    ))
})
