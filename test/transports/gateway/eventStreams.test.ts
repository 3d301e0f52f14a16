/**
 * The event streams of a gateway.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { EventStreams } from "../../../packages/transports/src/internal/gateway/streams/eventStreams.ts"
import { until } from "../../fixtures/peer.ts"
import { makeResponse } from "../../fixtures/response.ts"

describe("an event stream", () => {
  it.effect("carries a comment every 25 seconds until it ends", () =>
    Effect.gen(function*() {
      const streams = yield* EventStreams.make(() => 0)
      const { response, text } = makeResponse()
      streams.begin(response)
      yield* TestClock.adjust("24 seconds")
      assert.strictEqual(text(), "")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(text(), ": keep-alive\n\n")
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(text(), ": keep-alive\n\n".repeat(3))
      response.emit("close")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(streams.size, 0)
      assert.strictEqual(text(), ": keep-alive\n\n".repeat(3))
    }))

  it.effect("ends within a second after its authorization has expired", () =>
    Effect.gen(function*() {
      let now = 0
      const streams = yield* EventStreams.make(() => now)
      const [short, long] = [makeResponse(), makeResponse()]
      for (const { response } of [short, long]) streams.begin(response)
      streams.endAt(short.response, 10_000)
      streams.endAt(long.response, undefined)
      for (const [time, isOver] of [[9_999, false], [10_000, true]] as const) {
        now = time
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(short.response.writableEnded, isOver)
      }
      assert.isFalse(long.response.writableEnded)
    }))

  it.live("of a client that does not read is cut off beyond 4 MiB, and others go on", () =>
    Effect.gen(function*() {
      const streams = yield* EventStreams.make(() => 0)
      const responses: Array<ServerResponse> = []
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = createServer((_, response) => {
            streams.begin(response)
            response.flushHeaders()
            responses.push(response)
          }).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => void server.close().closeAllConnections())
      )
      const { port } = server.address() as AddressInfo
      const open = Effect.promise(async () => {
        const [response] = await once(get({ port, host: "127.0.0.1", agent: false }), "response")
        return response as IncomingMessage
      })
      const unread = yield* open
      const read = (yield* open).resume()
      const [stuck, flowing] = responses as [ServerResponse, ServerResponse]
      const message = "x".repeat(64 * 1024)
      let sent = 0
      while (streams.send(stuck, message)) {
        sent += message.length
        assert.isBelow(stuck.writableLength, 5 * 1024 ** 2)
        assert.isTrue(streams.send(flowing, message))
        yield* until(() => flowing.writableLength, (length) => length === 0)
      }
      assert.isAbove(sent, 4 * 1024 ** 2)
      assert.isTrue(stuck.destroyed)
      assert.isFalse(streams.send(stuck, message))
      yield* until(() => streams.size, (size) => size === 1)
      assert.isTrue(streams.send(flowing, message))
      unread.destroy()
      read.destroy()
    }))
})
