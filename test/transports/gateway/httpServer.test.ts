import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { openServer } from "../../../packages/transports/src/internal/gateway/http/httpServer.ts"
import { post } from "../../fixtures/gateway.ts"

const open = openServer({
  host: "127.0.0.1",
  port: 0,
  maxConnections: 10,
  make: createServer,
  handlerOf: () => (_, response) => void response.end("here")
})

describe("an HTTP server", () => {
  it.effect("stays open after errors, and logs one in a minute", () => {
    const logged: Array<unknown> = []
    return Effect.gen(function*() {
      const { port, server } = yield* open
      const fail = () => server.emit("error", Object.assign(new Error("accept"), { code: "EMFILE" }))
      fail()
      fail()
      assert.strictEqual((yield* post(`http://127.0.0.1:${port}`, undefined)).text, "here")
      yield* TestClock.adjust("1 minute")
      fail()
      const line = `the HTTP server on 127.0.0.1:0 has an error and stays open: EMFILE`
      assert.deepStrictEqual(logged, [[line], [line]])
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([Logger.make(({ message }) => logged.push(message))])))
  })

  it.effect("fails with the code of the system if the port is taken", () =>
    Effect.gen(function*() {
      const { port } = yield* open
      const error = yield* Effect.flip(openServer({
        host: "127.0.0.1",
        port,
        maxConnections: 1,
        make: createServer,
        handlerOf: () => assert.fail("it listens")
      }))
      assert.deepStrictEqual([error.code, error.port], ["EADDRINUSE", port])
    }))
})
