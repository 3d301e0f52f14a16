/**
 * The end of a response.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createServer, type ServerResponse } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { onClosed } from "../../../packages/transports/src/internal/gateway/http/http.ts"

/** A response of a real server, and what cuts its connection and waits until it has closed. */
const respond = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1")
    socket.on("error", () => {}).write("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    const [, response] = await once(server, "request") as [unknown, ServerResponse]
    return {
      server,
      response,
      close: Effect.promise(async () => {
        const closed = once(response, "close")
        socket.destroy()
        await closed
      })
    }
  }),
  ({ server }) => Effect.promise(() => new Promise((resolve) => server.close(resolve).closeAllConnections()))
)

describe("what is to be done when a response has closed", () => {
  it.live("is done once when it closes, and not if it was removed before", () =>
    Effect.gen(function*() {
      const { close, response } = yield* respond
      const done: Array<string> = []
      onClosed(response, () => done.push("kept"))
      onClosed(response, () => done.push("removed"))()
      assert.isEmpty(done)
      yield* close
      assert.deepStrictEqual(done, ["kept"])
    }))

  it.live("is done at once if it has closed before", () =>
    Effect.gen(function*() {
      const { close, response } = yield* respond
      yield* close
      let isDone = false
      onClosed(response, () => {
        isDone = true
      })
      assert.isTrue(isDone)
    }))
})
