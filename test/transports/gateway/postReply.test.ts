/**
 * The response to a POST: JSON, or an event stream.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { EventStreams } from "../../../packages/transports/src/internal/gateway/eventStreams.ts"
import { PostReply } from "../../../packages/transports/src/internal/gateway/postReply.ts"
import { post } from "../../fixtures/gateway.ts"

/** Sends a POST, and lets a function reply to it. */
const replied = (use: (reply: PostReply) => void) =>
  Effect.gen(function*() {
    const streams = yield* EventStreams.make(() => 0)
    const reply = (response: ServerResponse) =>
      use(
        new PostReply({
          response,
          begin: streams.begun,
          acceptsStream: true,
          requests: 1,
          isBatch: false,
          onEnd: () => {}
        })
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
})
