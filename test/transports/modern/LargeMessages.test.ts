/**
 * Messages of modern HTTP servers beyond the size limit: the request that waits for one fails, and the next is served.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy } from "@mcp-sessions/core"
import { Effect, Queue } from "effect"
import { until } from "../../fixtures/peer.ts"
import { read } from "../../fixtures/read.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import { withServer } from "../../fixtures/withSession.ts"

const limit = 2048

const long = "x".repeat(5000)

const options = { config: { protocol: "2026-07-28", maxMessageBytes: limit }, retry: RetryPolicy.never } as const

describe.concurrent("an event that is longer than the limit, from a modern server", () => {
  for (const opening of ["", "id: 1\n\n"]) {
    it.live(`is MessageTooLarge for the call on whose stream it comes, ${opening === "" ? "without" : "with"} an event id`, () =>
      Effect.gen(function*() {
        const { server, value } = yield* withServer(
          Http.modern(({ message, response }) => {
            if (message.method !== "tools/call") return false
            const result = { content: [{ type: "text", text: message.params?.name === "long" ? long : "short" }] }
            Http.stream(response, opening, Http.event(Http.modernResult(message.id, result)))
            response.end()
            return true
          }),
          (session) => Effect.zip(Effect.flip(session.callTool("long")), session.callTool("short")),
          options
        )
        const [{ reason }, { content }] = value
        assert.deepInclude(reason._tag === "OutcomeUnknown" ? reason.lost : reason, { _tag: "MessageTooLarge", limit })
        assert.deepStrictEqual(content, [{ type: "text", text: "short" }])
        assert.strictEqual(server.count("POST tools/call long"), 1)
      }))
  }

  const subscribable = (isAcknowledged: boolean) => {
    let streams = 0
    const handle = ({ message, response }: Http.Arrival): boolean => {
      if (message.method === "server/discover") {
        const supported = { supportedVersions: ["2026-07-28"], capabilities: { tools: { listChanged: true } } }
        Http.json(
          response,
          Http.modernResult(message.id, { ...supported, serverInfo: { name: "modern", version: "1" } })
        )
        return true
      }
      if (message.method !== "subscriptions/listen") return false
      const _meta = { "io.modelcontextprotocol/subscriptionId": message.id }
      const notify = (method: string, params: object) =>
        response.write(Http.event({ jsonrpc: "2.0", method, params: { _meta, ...params } }))
      Http.stream(response)
      if (isAcknowledged) {
        notify("notifications/subscriptions/acknowledged", { notifications: { toolsListChanged: true } })
      }
      if (++streams === 1) notify("notifications/tools/list_changed", { long })
      return true
    }
    return handle
  }

  it.live("is MessageTooLarge for the subscription that it comes in place of", () =>
    Effect.gen(function*() {
      const { server, value } = yield* withServer(subscribable(false), (session) =>
        Effect.gen(function*() {
          const notifications = yield* read(session.notifications)
          return yield* Effect.flip(Queue.take(notifications))
        }).pipe(Effect.scoped), options)
      assert.deepInclude(value.reason, { _tag: "MessageTooLarge", limit })
      assert.strictEqual(server.count("POST subscriptions/listen"), 1)
    }))

  it.live("is a gap of the subscription on whose stream it comes, and a warning", () =>
    withServer(subscribable(true), (session, server) =>
      Effect.gen(function*() {
        const notifications = yield* read(session.notifications)
        for (let gap = 0; gap < 2; gap++) {
          assert.deepStrictEqual(yield* Queue.take(notifications), { _tag: "Listening", generation: 1 })
        }
        assert.deepStrictEqual((yield* session.connect).warnings, [
          `broke off the stream of its own messages with a message of more than ${limit} bytes`
        ])
        yield* until(() => server.count("POST subscriptions/listen"), (count) => count === 2)
      }).pipe(Effect.scoped), options))
})
