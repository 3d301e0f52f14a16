/**
 * Exchanges that cannot even begin, which HTTP clients report before they have taken the request.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import { type End, Exchange, targetOf } from "../../../packages/transports/src/internal/http/httpExchange.ts"
import type { Authorizer } from "../../../packages/transports/src/internal/network/authorizer.ts"
import { SseTransport } from "../../../packages/transports/src/internal/sse/sseTransport.ts"
import { dispatching } from "../../fixtures/dispatching.ts"

const { Agent } = createRequire(new URL("../../../packages/transports/package.json", import.meta.url))("undici")

const destroyed = Effect.promise(async () => {
  const agent = new Agent()
  await agent.destroy()
  return agent
})

const target = targetOf(new URL("http://127.0.0.1:1/"))

const request = { target, method: "POST", headers: [], body: "{}" } as const

const maxBytes = 1024

describe("an exchange that cannot begin", () => {
  it.live("ends after start has returned", () =>
    Effect.gen(function*() {
      const dispatcher = yield* destroyed
      const end = yield* Effect.callback<End>((resume) => {
        const started = new Exchange({ connections: dispatching(dispatcher), maxBytes, authorizer: undefined }, {
          onMessage: () => {},
          onSkipped: () => {},
          onEnd: (end) => {
            assert.isFunction(started.abort)
            resume(Effect.succeed(end))
          }
        }).start({ ...request, headers: [] })
      })
      assert.strictEqual(end._tag, "Broken")
    }))

  it.live("reports nothing once it is aborted", () =>
    Effect.gen(function*() {
      const ends: Array<End> = []
      const onEnd = (end: End) => void ends.push(end)
      const dispatcher = yield* destroyed
      new Exchange({ connections: dispatching(dispatcher), maxBytes, authorizer: undefined }, {
        onMessage: () => {},
        onSkipped: () => {},
        onEnd
      })
        .start({
          ...request,
          headers: []
        }).abort()
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.deepStrictEqual(ends, [])
    }))

  it.live("fails the connection that it belongs to", () =>
    Effect.gen(function*() {
      const transport = new SseTransport({
        connections: dispatching(yield* destroyed),
        maxBytes,
        authorizer: undefined,
        target,
        given: [],
        redact: (text) => text
      })
      const reason = yield* Effect.promise(() => transport.start().then(() => undefined, (reason: object) => reason))
      assert.deepInclude(reason, { _tag: "TransportFailed" })
    }))
})

describe("an exchange that is refused for lack of credentials", () => {
  it.live("passes on the challenges of all headers, and is challenged until it is sent again", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = createServer((_, response) =>
            response.writeHead(401, { "www-authenticate": ["Basic realm=\"x\"", "Bearer error=\"y\""] }).end()
          )
          server.listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = server.address()
      const url = new URL(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`)
      const dispatcher = new Agent()
      const seen: Array<unknown> = []
      const authorizer: Authorizer = {
        headers: () => [],
        secrets: () => [],
        challenged: ({ wwwAuthenticate }) => {
          seen.push(wwwAuthenticate, exchange.isChallenged)
          return Promise.resolve(undefined)
        }
      }
      let finish: (end: End) => void = () => {}
      const exchange = new Exchange({ connections: dispatching(dispatcher), maxBytes, authorizer }, {
        onMessage: () => {},
        onSkipped: () => {},
        onEnd: (end) => finish(end)
      })
      const end = yield* Effect.callback<End>((resume) => {
        finish = (end) => resume(Effect.succeed(end))
        exchange.start({ ...request, target: targetOf(url), headers: [] })
      })
      yield* Effect.promise(() => dispatcher.close())
      assert.deepStrictEqual(seen, ["Basic realm=\"x\", Bearer error=\"y\"", true])
      assert.deepStrictEqual([end._tag, exchange.isChallenged], ["Refused", false])
    }).pipe(Effect.scoped))
})
