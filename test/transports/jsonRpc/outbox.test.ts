/**
 * What waits for a peer that does not read: in order, bounded, and never half written.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Connection } from "@mcp-sessions/core"
import { Schema } from "effect"
import { Outbox, outboxLimit } from "../../../packages/transports/src/internal/jsonRpc/outbox.ts"
import { outgoing } from "../../fixtures/outgoing.ts"

/** Adds a request of a number of characters. */
const add = (outbox: Outbox, length: number, request = outgoing()) =>
  outbox.add({ text: "x".repeat(length), request, isReply: false })

describe("Outbox", () => {
  it("refuses, as not sent, what would exceed its limit together with what waits", () => {
    const outbox = new Outbox()
    assert.strictEqual(add(outbox, outboxLimit - 10), undefined)
    assert.strictEqual(add(outbox, 10), undefined)
    const refusal = add(outbox, 1)
    assert.deepInclude(refusal, {
      _tag: "QueueFull",
      delivery: "NotSent",
      limit: outboxLimit,
      inFlight: 2,
      unread: outboxLimit
    })
    assert.include(refusal?.message, "the server does not read")
    assert.strictEqual(outbox.characters, outboxLimit)
  })

  it("takes one message of any size while nothing else waits", () => {
    const outbox = new Outbox()
    assert.strictEqual(add(outbox, 2 * outboxLimit), undefined)
    assert.strictEqual(add(outbox, 1)?._tag, "QueueFull")
  })

  it.prop(
    "writes what was added and not given up, once and in order, however often the peer stops to read",
    [Schema.Array(Schema.Literals(["request", "reply", "cancel", "read"]))],
    ([steps]) => {
      const outbox = new Outbox()
      const waiting: Array<{ readonly text: string; readonly request: Connection.OutgoingRequest | undefined }> = []
      const written: Array<string> = []
      const expected: Array<string> = []
      for (const [index, step] of steps.entries()) {
        if (step === "request" || step === "reply") {
          const request = step === "request" ? outgoing() : undefined
          outbox.add({ text: String(index), request, isReply: step === "reply" })
          waiting.push({ text: String(index), request })
        } else if (step === "cancel") {
          const at = waiting.findLastIndex(({ request }) => request !== undefined)
          const [given] = at === -1 ? [] : waiting.splice(at, 1)
          if (given?.request !== undefined) assert.isTrue(outbox.delete(given.request))
        } else {
          // The peer reads two messages.
          let left = 2
          outbox.drain({
            isBlocked: () => left-- === 0,
            write: (text) => written.push(text)
          })
          expected.push(...waiting.splice(0, 2).map(({ text }) => text))
        }
        assert.deepStrictEqual(written, expected)
        assert.strictEqual(outbox.isEmpty, waiting.length === 0)
        assert.strictEqual(outbox.characters, waiting.reduce((sum, { text }) => sum + text.length, 0))
        assert.strictEqual(outbox.replies, waiting.filter(({ request }) => request === undefined).length)
      }
    }
  )
})
