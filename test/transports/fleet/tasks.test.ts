/**
 * Tasks in a fleet: each is on the node that owns its session.
 */
import { assert, describe, it } from "@effect/vitest"
import { Sessions } from "@mcp-sessions/core"
import { Gateway, SessionRouter, Transports } from "@mcp-sessions/transports"
import { Context, Effect, Layer, Redacted } from "effect"
import { initialize, post } from "../../fixtures/gateway.ts"
import { startLocalFleet } from "../../fixtures/localFleet.ts"
import { modernRequest, type Sent, tasksCapability } from "../../fixtures/modernRequest.ts"
import { startTaskServer } from "../../fixtures/taskServer.ts"

const long = { name: "long", arguments: {} }

const get = (url: string, taskId: unknown, sent: Sent = {}) =>
  Effect.map(modernRequest(url, "tasks/get", { taskId }, sent), ({ result }) => result ?? {})

describe("a task in a fleet with owners", () => {
  for (const stateless of [false, true]) {
    it.live(`is found at every node, with any capabilities, at a server that ${stateless ? "keeps nothing" : "keeps state"} for a session`, () =>
      Effect.gen(function*() {
        const server = yield* startTaskServer
        const { nodes: [first, second] } = yield* startLocalFleet({ only: { ...server.config, stateless } })
        const { result } = yield* modernRequest(second.url, "tools/call", long)
        assert.strictEqual(result?.resultType, "task")
        for (const { url } of [first, second]) {
          assert.strictEqual((yield* get(url, result?.taskId)).status, "working")
          const capabilities = { ...tasksCapability, sampling: {} }
          assert.strictEqual((yield* get(url, result?.taskId, { capabilities })).status, "working")
        }
        yield* server.end({ text: "done" })
        yield* get(second.url, result?.taskId).pipe(Effect.repeat({ until: ({ status }) => status === "completed" }))
        assert.strictEqual(server.count("POST tools/call long"), 1)
      }))
  }

  it.live("has an unknown outcome once its owner is another node", () =>
    Effect.gen(function*() {
      const server = yield* startTaskServer
      const { move, nodes: [first, second] } = yield* startLocalFleet({ only: server.config })
      const { result } = yield* modernRequest(first.url, "tools/call", long)
      yield* move(second)
      for (const { url } of [first, second]) {
        const { error, status } = yield* get(url, result?.taskId)
        assert.strictEqual(status, "failed")
        assert.deepNestedInclude(error, { code: -32_010, "data.reason": "OutcomeUnknown" })
      }
      assert.strictEqual(server.count("POST tools/call long"), 1)
    }))

  it.live("of a client of 2025-11-25 is found at every node", () =>
    Effect.gen(function*() {
      const server = yield* startTaskServer
      const { nodes: [first, second] } = yield* startLocalFleet({ only: server.config })
      const { session } = yield* post(first.url, initialize)
      const send = (url: string, method: string, params: object) =>
        Effect.map(
          post(url, { jsonrpc: "2.0", id: 1, method, params }, { session }),
          ({ text }) => (JSON.parse(text) as { readonly result: Readonly<Record<string, unknown>> }).result
        )
      const created = yield* send(second.url, "tools/call", { ...long, task: {} })
      const { taskId } = created.task as { readonly taskId: string }
      for (const { url } of [first, second]) {
        assert.strictEqual((yield* send(url, "tasks/get", { taskId })).status, "working")
      }
    }))
})

describe("a fleet whose processes do not know each other", () => {
  it.live("offers no tasks, and gives results in the ordinary way", () =>
    Effect.gen(function*() {
      const server = yield* startTaskServer
      const sessionKey = Redacted.make(Buffer.alloc(32, "key"))
      const built = yield* Layer.build(
        Gateway.layer({ sessionKey, sessions: Sessions.layer({ servers: { only: server.config } }) }).pipe(
          Layer.provide([Transports.layer, SessionRouter.layerSealed])
        )
      )
      const { url } = Context.get(built, Gateway.Gateway)
      const discovered = yield* modernRequest(url, "server/discover")
      assert.notProperty(discovered.result?.capabilities, "extensions")
      const { text } = yield* post(url, initialize)
      assert.notInclude(text, "\"tasks\"")
      const { result } = yield* modernRequest(url, "tools/call", long)
      assert.strictEqual(result?.resultType, "complete")
      assert.strictEqual((yield* modernRequest(url, "tasks/get", { taskId: "1" })).error?.code, -32_601)
    }))
})
