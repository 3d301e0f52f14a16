/**
 * Exchanges that cannot even begin, which HTTP clients report before they have taken the request.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createRequire } from "node:module"
import { type End, exchange } from "../../packages/transports/src/internal/http/httpExchange.ts"
import { SseTransport } from "../../packages/transports/src/internal/sse/sseTransport.ts"

const { Agent } = createRequire(new URL("../../packages/transports/package.json", import.meta.url))("undici")

const destroyed = Effect.promise(async () => {
  const agent = new Agent()
  await agent.destroy()
  return agent
})

const target = { url: new URL("http://127.0.0.1:1/"), headers: {}, maxBytes: 1024 }

describe("an exchange that cannot begin", () => {
  it.live("ends after its starter knows of it", () =>
    Effect.gen(function*() {
      const dispatcher = yield* destroyed
      const end = yield* Effect.callback<End>((resume) => {
        const started = exchange({
          ...target,
          dispatcher,
          method: "POST",
          body: "{}",
          onMessage: () => {},
          onEnd: (end) => {
            assert.isFunction(started.abort)
            resume(Effect.succeed(end))
          }
        })
      })
      assert.strictEqual(end._tag, "Broken")
    }))

  it.live("says nothing once it was aborted", () =>
    Effect.gen(function*() {
      const ends: Array<End> = []
      const onEnd = (end: End) => void ends.push(end)
      const dispatcher = yield* destroyed
      exchange({ ...target, dispatcher, method: "POST", body: "{}", onMessage: () => {}, onEnd }).abort()
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.deepStrictEqual(ends, [])
    }))

  it.live("fails the connection that it was for", () =>
    Effect.gen(function*() {
      const transport = new SseTransport({ ...target, dispatcher: yield* destroyed })
      const reason = yield* Effect.promise(() => transport.start().then(() => undefined, (reason: object) => reason))
      assert.deepInclude(reason, { _tag: "TransportFailed" })
    }))
})
