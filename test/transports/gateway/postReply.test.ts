/**
 * The response to a POST: JSON, or an event stream.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { PostReply } from "../../../packages/transports/src/internal/gateway/call/postReply.ts"
import { EventStreams } from "../../../packages/transports/src/internal/gateway/streams/eventStreams.ts"
import { post } from "../../fixtures/gateway.ts"

/** Sends a POST, and lets a function reply to it. */
const replied = (use: (reply: PostReply, response: ServerResponse) => void, requests = 1) =>
  Effect.gen(function*() {
    const streams = yield* EventStreams.make(() => 0)
    const reply = (response: ServerResponse) =>
      use(
        new PostReply({
          response,
          begin: streams.begun,
          acceptsStream: true,
          requests,
          isBatch: false,
          onEnd: () => {}
        }),
        response
      )
    const server = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer((_, response) => reply(response)).listen(0, "127.0.0.1")
        await once(server, "listening")
        return server
      }),
      (server) =>
        Effect.sync(() => {
          streams.close()
          server.close()
        })
    )
    return yield* post(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {})
  })

describe("the response to a POST", () => {
  it.live("is JSON while nothing comes before it, and an event stream once its call takes long", () =>
    Effect.gen(function*() {
      const short = yield* replied((reply) => {
        reply.linger()
        reply.settle("{\"id\":1}")
      })
      assert.deepStrictEqual([short.type, short.text], ["application/json", "{\"id\":1}"])
      const long = yield* replied((reply) => {
        reply.linger()
        reply.linger()
        reply.settle("{\"id\":1}")
      })
      assert.deepStrictEqual([long.type, long.text], ["text/event-stream", "event: message\ndata: {\"id\":1}\n\n"])
    }))

  it.live("is left alone once it is released, as JSON and as an event stream", () =>
    Effect.gen(function*() {
      const json = yield* replied((reply, response) => {
        assert.isTrue(reply.release(response))
        reply.settle("{\"id\":1}")
        response.end("of another node")
      })
      assert.strictEqual(json.text, "of another node")
      const stream = yield* replied((reply, response) => {
        reply.related("{\"method\":\"before\"}")
        assert.isTrue(reply.release(response))
        assert.isFalse(reply.related("{\"method\":\"after\"}"))
        reply.linger()
        reply.linger()
        reply.settle("{\"id\":1}")
        response.end("event: of another node")
      })
      assert.strictEqual(stream.text, "event: message\ndata: {\"method\":\"before\"}\n\nevent: of another node")
    }))

  it.live("is not released while the client has some of its responses, and not for another one", () =>
    Effect.gen(function*() {
      const { text } = yield* replied((reply, response) => {
        assert.isFalse(reply.release({} as ServerResponse))
        reply.settle("{\"id\":1}")
        reply.related("{\"method\":\"begins a stream\"}")
        assert.isFalse(reply.release(response))
        reply.settle("{\"id\":2}")
        assert.isFalse(reply.release(response))
      }, 2)
      assert.include(text, "\"id\":1")
      assert.include(text, "\"id\":2")
    }))
})
