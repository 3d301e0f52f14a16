/**
 * Order, amount and refusal of what arrives on a channel. Work is counted, not timed: deliveries, and turns of the event loop.
 */
import { assert, describe, it } from "@effect/vitest"
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { setImmediate as nextTurn } from "node:timers/promises"
import {
  messageCost,
  OrderedInbox,
  replyLimit,
  sliceLimit,
  type Source
} from "../../../packages/transports/src/internal/jsonRpc/orderedInbox.ts"
import type { Receiver } from "../../../packages/transports/src/internal/jsonRpc/requestSink.ts"

const notification = (n: number): JSONRPCMessage => ({ jsonrpc: "2.0", method: "notifications/n", params: { n } })

const response = (id: number): JSONRPCMessage => ({ jsonrpc: "2.0", id, result: {} })

const perTurn = sliceLimit / messageCost

/** A channel whose client handles notifications in a microtask, as that of the SDK does, or whose engine takes everything. */
class Channel {
  readonly seen: Array<unknown> = []
  readonly sent: Array<JSONRPCMessage> = []
  pendingReplies = 0
  receiver: Receiver | undefined
  readonly inbox = new OrderedInbox(this)
  readonly #log: Array<unknown>
  readonly #name: string

  constructor(options: { readonly isEngine: boolean; readonly name?: string; readonly log?: Array<unknown> }) {
    this.#name = options.name ?? ""
    this.#log = options.log ?? []
    if (options.isEngine) {
      const take = (message: JSONRPCMessage) => {
        this.#see(message)
        return true
      }
      this.receiver = { take, fail: () => {} }
    }
  }

  onmessage = (message: JSONRPCMessage): void => {
    if ("id" in message) this.#see(message)
    else void Promise.resolve().then(() => this.#see(message))
  }

  send = (message: JSONRPCMessage): Promise<void> => {
    this.sent.push(message)
    this.pendingReplies++
    return Promise.resolve()
  }

  #see(message: JSONRPCMessage): void {
    this.seen.push("method" in message ? message.params?.n : "response")
    this.#log.push(this.#name)
  }
}

/** A stream that counts how often it was paused. */
const makeSource = () => {
  const source = {
    pauses: 0,
    isPaused: false,
    pause: () => {
      source.pauses++
      source.isPaused = true
    },
    resume: () => {
      source.isPaused = false
    }
  }
  return source satisfies Source
}

/** Waits until a condition holds, and returns the number of turns that took. */
const turnsUntil = async (holds: () => boolean): Promise<number> => {
  let turns = 0
  while (!holds()) {
    await nextTurn()
    turns++
  }
  return turns
}

describe("OrderedInbox", () => {
  for (const isEngine of [false, true]) {
    const receiver = isEngine ? "engine" : "client of the SDK"

    it(`delivers a burst of notifications to the ${receiver} in a number of turns that grows in proportion to its length`, async () => {
      for (const length of [10_000, 20_000, 40_000]) {
        const channel = new Channel({ isEngine })
        for (let n = 0; n < length; n++) channel.inbox.push(notification(n))
        channel.inbox.push(response(1))
        const turns = await turnsUntil(() => channel.seen.length > length)
        assert.deepStrictEqual(channel.seen, [...Array.from({ length }, (_, n) => n), "response"])
        assert.isAtMost(turns, length / perTurn + 1)
      }
    })

    it(`lets another channel have its turn during a burst for the ${receiver}`, async () => {
      const log: Array<unknown> = []
      const loud = new Channel({ isEngine, name: "loud", log })
      const quiet = new Channel({ isEngine, name: "quiet", log })
      for (let n = 0; n < 10 * perTurn; n++) loud.inbox.push(notification(n))
      await turnsUntil(() => log.length > 0)
      quiet.inbox.push(response(1))
      await turnsUntil(() => loud.seen.length === 10 * perTurn)
      assert.isAtMost(log.indexOf("quiet"), 3 * perTurn)
    })
  }

  it("delivers a response after the notifications before it, within the turn", async () => {
    const channel = new Channel({ isEngine: false })
    channel.inbox.push(notification(1))
    channel.inbox.push(notification(2))
    channel.inbox.push(response(1))
    channel.inbox.push(notification(3))
    assert.deepStrictEqual(channel.seen, [])
    assert.strictEqual(await turnsUntil(() => channel.seen.length === 4), 1)
    assert.deepStrictEqual(channel.seen, [1, 2, "response", 3])
  })

  it("delivers a response at once where no notification is before it", () => {
    const channel = new Channel({ isEngine: false })
    channel.inbox.push(response(1))
    channel.inbox.push(response(2))
    assert.deepStrictEqual(channel.seen, ["response", "response"])
  })

  it("pauses each source after the chunk that uses up the slice, and resumes it after what waits", async () => {
    const channel = new Channel({ isEngine: true })
    const [first, second] = [makeSource(), makeSource()]
    channel.inbox.onChunk(100, first)
    assert.strictEqual(first.pauses, 0)
    for (let n = 0; n < 3 * perTurn; n++) channel.inbox.push(notification(n))
    channel.inbox.onChunk(100, first)
    channel.inbox.onChunk(100, second)
    assert.isTrue(first.isPaused && second.isPaused)
    await turnsUntil(() => !first.isPaused)
    assert.isFalse(second.isPaused)
    assert.strictEqual(channel.seen.length, 3 * perTurn)
  })

  it("pauses a source that delivers nothing but bytes, such as parts of one long message", async () => {
    const channel = new Channel({ isEngine: true })
    const source = makeSource()
    channel.inbox.onChunk(sliceLimit, source)
    assert.isTrue(source.isPaused)
    assert.strictEqual(await turnsUntil(() => !source.isPaused), 1)
  })

  it("ends a channel after the messages that had arrived before", async () => {
    const channel = new Channel({ isEngine: false })
    channel.inbox.push(notification(1))
    channel.inbox.push(response(1))
    channel.inbox.end(() => channel.seen.push("end"))
    await turnsUntil(() => channel.seen.length === 3)
    assert.deepStrictEqual(channel.seen, [1, "response", "end"])
  })

  it("drops what waits when it is closed, and resumes the sources", async () => {
    const channel = new Channel({ isEngine: true })
    const source = makeSource()
    for (let n = 0; n < 2 * perTurn; n++) channel.inbox.push(notification(n))
    channel.inbox.onChunk(1, source)
    channel.inbox.close()
    assert.isFalse(source.isPaused)
    await nextTurn()
    assert.strictEqual(channel.seen.length, perTurn)
  })

  it("refuses requests of the server while replies wait for it, then ignores them, and goes on with the rest", () => {
    const channel = new Channel({ isEngine: true })
    channel.pendingReplies = replyLimit
    const asked = 3 * replyLimit
    for (let id = 0; id < asked; id++) {
      channel.inbox.push({ jsonrpc: "2.0", id: `p${id}`, method: "ping", params: { n: id } })
    }
    channel.inbox.push(response(1))
    assert.deepStrictEqual(channel.seen, ["response"])
    assert.strictEqual(channel.sent.length, replyLimit)
    assert.deepNestedInclude(channel.sent[0], { id: "p0", "error.code": -32000 })
    assert.deepStrictEqual(channel.inbox.warnings(), [
      `does not take replies as fast as it sends requests: ${replyLimit} refused, ${asked - replyLimit} ignored`
    ])
    channel.pendingReplies = 0
    channel.inbox.push({ jsonrpc: "2.0", id: "late", method: "ping", params: { n: "late" } })
    assert.deepStrictEqual(channel.seen, ["response", "late"])
  })
})
