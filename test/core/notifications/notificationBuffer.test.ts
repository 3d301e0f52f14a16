/**
 * What a listener gets that is slower than the server.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Notification } from "@mcp-sessions/core"
import { Effect, Queue, Schema } from "effect"
import { NotificationBuffer } from "../../../packages/core/src/internal/notifications/notificationBuffer.ts"

const make = (capacity: number) =>
  Effect.map(Queue.sliding<void>(1), (offered) => {
    const counted = { dropped: 0 }
    return { counted, buffer: new NotificationBuffer({ capacity, offered, onDrop: () => counted.dropped++ }) }
  })

const log = (data: unknown): Notification.Notification => ({
  _tag: "LogMessage",
  level: "info",
  logger: undefined,
  data
})

const updated = (uri: string): Notification.Notification => ({ _tag: "ResourceUpdated", uri })

describe("NotificationBuffer", () => {
  it.effect("drops the oldest notification when it is full, and says so by Listening with the number", () =>
    Effect.gen(function*() {
      const { buffer, counted } = yield* make(2)
      buffer.first(3)
      for (const data of [1, 2, 3, 4]) buffer.offer(log(data))
      assert.deepStrictEqual(yield* buffer.takeAll, [{ _tag: "Listening", generation: 3, dropped: 2 }, log(3), log(4)])
      assert.strictEqual(counted.dropped, 2)
      buffer.offer(log(5))
      assert.deepStrictEqual(yield* buffer.takeAll, [log(5)])
    }))

  it.effect("merges repeated changes of one list or one resource, however many there are", () =>
    Effect.gen(function*() {
      const { buffer, counted } = yield* make(4)
      for (let n = 0; n < 1000; n++) {
        buffer.offer({ _tag: "ToolsChanged" })
        buffer.offer(updated("a://1"))
        buffer.offer(updated("a://2"))
        buffer.offer({ _tag: "PromptsChanged" })
      }
      assert.deepStrictEqual(yield* buffer.takeAll, [
        { _tag: "ToolsChanged" },
        updated("a://1"),
        updated("a://2"),
        { _tag: "PromptsChanged" }
      ])
      assert.strictEqual(counted.dropped, 0)
      buffer.offer({ _tag: "ToolsChanged" })
      assert.deepStrictEqual(yield* buffer.takeAll, [{ _tag: "ToolsChanged" }])
    }))

  it.effect("keeps the last Listening of those that it drops, and does not count it", () =>
    Effect.gen(function*() {
      const { buffer, counted } = yield* make(1)
      buffer.first(1)
      buffer.offer({ _tag: "Listening", generation: 2 })
      buffer.offer(log(1))
      assert.deepStrictEqual(yield* buffer.takeAll, [{ _tag: "Listening", generation: 2 }, log(1)])
      assert.strictEqual(counted.dropped, 0)
    }))

  it.effect.prop(
    "accounts for each notification, in order: taken, merged or dropped, and never holds more than its capacity",
    [Schema.Array(Schema.Int), Schema.Array(Schema.Boolean)],
    ([numbers, takes]) =>
      Effect.gen(function*() {
        const capacity = 3
        const { buffer, counted } = yield* make(capacity)
        const taken: Array<unknown> = []
        let told = 0
        const note = (notification: Notification.Notification) => {
          if (notification._tag === "LogMessage") taken.push(notification.data)
          if (notification._tag === "Listening") told += notification.dropped ?? 0
        }
        for (const [index] of numbers.entries()) {
          buffer.offer(log(index))
          assert.isAtMost(buffer.size, capacity)
          if (takes[index] === true) note(yield* buffer.take)
        }
        if (buffer.size > 0) { for (const notification of yield* buffer.takeAll) note(notification) }
        assert.strictEqual(taken.length + counted.dropped, numbers.length)
        assert.strictEqual(told, counted.dropped)
        assert.deepStrictEqual(taken, taken.toSorted((a, b) => Number(a) - Number(b)))
      })
  )
})
