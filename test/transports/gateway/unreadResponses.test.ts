/**
 * Responses that have ended and that their clients do not read.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createServer, get, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { openServer } from "../../../packages/transports/src/internal/gateway/http/httpServer.ts"
import { UnreadResponses } from "../../../packages/transports/src/internal/gateway/http/unreadResponses.ts"

const size = 16 * 1024 ** 2

/** Asks a server, and gives the response before its body is read. */
const askAt = (port: number) =>
  Effect.promise(async () => {
    const [response] = await once(get({ port, host: "127.0.0.1", agent: false }), "response")
    return response as IncomingMessage
  })

/** A server whose responses have one size. */
const start = (limit: number) =>
  Effect.gen(function*() {
    const unread = new UnreadResponses(limit)
    const server = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer((_, response) => {
          unread.watch(response)
          response.end(Buffer.alloc(size))
        }).listen(0, "127.0.0.1")
        await once(server, "listening")
        return server
      }),
      (server) => Effect.sync(() => void server.close().closeAllConnections())
    )
    const { port } = server.address() as AddressInfo
    return { ask: askAt(port) }
  })

/** How many bytes of a response arrive until it ends or breaks. */
const bytesOf = (response: IncomingMessage) =>
  Effect.callback<number>((resume) => {
    let count = 0
    response.on("data", (chunk: Buffer) => {
      count += chunk.length
    })
    response.on("error", () => {}).once("close", () => resume(Effect.succeed(count)))
  })

describe("responses that clients do not read", () => {
  it.live("are cut off beyond the limit, the oldest first, and the others arrive whole", () =>
    Effect.gen(function*() {
      const { ask } = yield* start(2.5 * size)
      const responses = [yield* ask, yield* ask, yield* ask, yield* ask]
      const [first = 0, second = 0, ...others] = yield* Effect.forEach(responses, bytesOf, { concurrency: "unbounded" })
      assert.isBelow(first, size)
      assert.isBelow(second, size)
      assert.deepStrictEqual(others, [size, size])
    }))

  it.live("are cut off at each server beyond 256 MiB", () =>
    Effect.gen(function*() {
      // All responses share it, so it takes memory once.
      const body = Buffer.alloc(96 * 1024 ** 2)
      const { port } = yield* openServer({
        host: "127.0.0.1",
        port: 0,
        maxConnections: 10,
        make: createServer,
        handlerOf: () => (_, response) => void response.end(body)
      })
      const ask = askAt(port)
      const responses = [yield* ask, yield* ask, yield* ask]
      const [first = 0, ...others] = yield* Effect.forEach(responses, bytesOf, { concurrency: "unbounded" })
      assert.isBelow(first, body.length)
      assert.deepStrictEqual(others, [body.length, body.length])
    }))

  it.live("count no longer once they were read", () =>
    Effect.gen(function*() {
      const { ask } = yield* start(3.5 * size)
      const unread = yield* ask
      for (let times = 0; times < 5; times++) assert.strictEqual(yield* Effect.flatMap(ask, bytesOf), size)
      assert.strictEqual(yield* bytesOf(unread), size)
    }))
})
