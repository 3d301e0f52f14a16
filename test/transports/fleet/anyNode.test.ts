/**
 * A fleet of three nodes: each takes any request of a client, and one of them has its session.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { Context, Effect, Fiber, Layer, Schedule } from "effect"
import { serveAsking } from "../../fixtures/askingHttp.ts"
import { call, connectV1, initialize, post, streamOf, textOf } from "../../fixtures/gateway.ts"
import { type Fleet, startFleet } from "../../fixtures/gatewayFleet.ts"
import { modernRequest, tasksCapability } from "../../fixtures/modernRequest.ts"
import { isAlive, type RunningPeer, stdio } from "../../fixtures/peer.ts"
import { startTaskServer } from "../../fixtures/taskServer.ts"

type TaskServer = Effect.Success<typeof startTaskServer>
import * as Postgres from "../../fixtures/postgres.ts"

const until = (isDone: () => boolean) =>
  Effect.repeat(Effect.sync(isDone), { schedule: Schedule.spaced("20 millis"), until: (done) => done })

class Started extends Context.Service<Started, Fleet & Pick<RunningPeer, "ledger"> & Pick<TaskServer, "end">>()(
  "@mcp-sessions/test/transports/fleet/anyNode.test/Started"
) {}

const started = Layer.effect(
  Started,
  Effect.gen(function*() {
    const { config, ledger } = yield* stdio("v1").start
    const tasks = yield* startTaskServer
    const asking = { url: yield* serveAsking, protocol: "legacy" as const }
    const fleet = yield* startFleet({ only: config, asking, tasks: tasks.config })
    return Started.of({ ...fleet, ledger, end: tasks.end })
  })
)

const answering = { ...initialize, params: { ...initialize.params, capabilities: { elicitation: { form: {} } } } }

const accepted = { action: "accept" as const, content: { name: "Ada" } }

if (!Postgres.isRunning) {
  describe("a fleet of nodes", () => it.skip(`is not tested${Postgres.reason}`, () => {}))
} else {
  layer(started, { excludeTestServices: true, timeout: 120_000 })("a fleet of nodes", (it) => {
    it.effect("has one session of a client at a server, whichever nodes its requests reach", () =>
      Effect.gen(function*() {
        const { ledger, nodes } = yield* Started
        const before = ledger("process").length
        const { session } = yield* post(nodes[0].url, initialize)
        for (const [index, { url }] of nodes.entries()) {
          const { text } = yield* post(url, call(index, "only_count", { id: `one ${index}` }), { session })
          assert.strictEqual(textOf((JSON.parse(text) as { readonly result: unknown }).result), "counted")
        }
        assert.deepStrictEqual(ledger("count").filter((id) => id.startsWith("one")), ["one 0", "one 1", "one 2"])
        assert.lengthOf(ledger("process"), before + 1)
        const metrics = yield* post(nodes[1].url.replace("/mcp", "/metrics"), undefined, { method: "GET" })
        assert.match(metrics.text, /mcp_sessions_fleet_hops_total\{outcome="done"\} [1-9]/)
      }))

    it.effect("finds a task at any node, with whatever capabilities its client asks", () =>
      Effect.gen(function*() {
        const { end, nodes } = yield* Started
        const { result } = yield* modernRequest(nodes[0].url, "tools/call", { name: "tasks_long", arguments: {} })
        const get = (url: string, capabilities: object) =>
          Effect.map(
            modernRequest(url, "tasks/get", { taskId: result?.taskId }, { capabilities }),
            ({ result }) => result?.status
          )
        // Without the task, these would be sessions of several nodes.
        const declared = [{}, { sampling: {} }, { roots: {} }, { elicitation: { form: {} } }, {
          elicitation: { url: {} }
        }]
        for (const { url } of nodes) {
          for (const one of declared) assert.strictEqual(yield* get(url, { ...tasksCapability, ...one }), "working")
        }
        yield* end({ text: "done" })
        yield* get(nodes[2].url, tasksCapability).pipe(Effect.repeat({ until: (status) => status === "completed" }))
      }))

    it.effect("ends a session at any node, and does not know its id afterwards", () =>
      Effect.gen(function*() {
        const { ledger, nodes } = yield* Started
        const before = ledger("process").length
        const { session } = yield* post(nodes[1].url, initialize)
        yield* post(nodes[2].url, call(1, "only_count", { id: "ended" }), { session })
        const [own = 0] = ledger("process").slice(before).map(Number)
        const ended = yield* post(nodes[0].url, undefined, { session, method: "DELETE" })
        assert.strictEqual(ended.status, 200)
        yield* until(() => !isAlive(own))
        const again = yield* Effect.forEach(nodes, ({ url }) => post(url, call(9, "only_count"), { session }))
        assert.deepStrictEqual(again.map(({ status }) => status), [404, 404, 404])
        const forged = yield* post(nodes[0].url, call(9, "only_count"), { session: `${session.slice(0, -2)}AA` })
        assert.deepStrictEqual([forged.status, forged.text], [404, again[0]?.text])
      }))

    it.effect("passes on progress and cancellation through nodes that do not have the session", () =>
      Effect.gen(function*() {
        const { ledger, nodes } = yield* Started
        const { session } = yield* post(nodes[0].url, initialize)
        for (const { url } of nodes) {
          const { text, type } = yield* post(url, call(1, "only_steps", {}, { progressToken: "p" }), { session })
          assert.include(type, "text/event-stream")
          assert.strictEqual(text.split("notifications/progress").length, 4)
          assert.include(text, "done")
        }
        const hanging = yield* Effect.forkScoped(post(nodes[1].url, call(7, "only_hang", { id: "hung" }), { session }))
        yield* until(() => ledger("hang").includes("hung"))
        const params = { requestId: 7 }
        yield* post(nodes[2].url, { jsonrpc: "2.0", method: "notifications/cancelled", params }, { session })
        yield* until(() => ledger("cancelled").includes("hung"))
        hanging.interruptUnsafe()
      }))

    it.effect("asks a client through one node, and takes its answer at another", () =>
      Effect.gen(function*() {
        const { nodes } = yield* Started
        const { session } = yield* post(nodes[0].url, answering)
        const signal = yield* Effect.abortSignal
        const messages = yield* Effect.promise(() => streamOf(nodes[1].url, session, call(1, "asking_ask"), signal))
        const iterator = messages[Symbol.asyncIterator]()
        const question = yield* Effect.promise(() => iterator.next())
        assert.strictEqual(question.value.method, "elicitation/create")
        yield* post(nodes[2].url, { jsonrpc: "2.0", id: question.value.id, result: accepted }, { session })
        const result = yield* Effect.promise(() => iterator.next())
        assert.strictEqual(textOf(result.value.result), JSON.stringify(accepted))
      }))

    it.effect("asks a client of 2026-07-28 in the result at one node, and takes its answer at another", () =>
      Effect.gen(function*() {
        const { nodes } = yield* Started
        let next = 0
        // Each request of the client goes to the next node.
        const fetching = (_: unknown, init?: RequestInit) =>
          // @effect-diagnostics-next-line globalFetch:off
          fetch(nodes[next++ % 3]?.url ?? "", init)
        const client = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const client = new Client({ name: "v2", version: "1" }, {
              versionNegotiation: { mode: "auto" },
              capabilities: { elicitation: { form: {} } }
            })
            client.setRequestHandler("elicitation/create", () => Promise.resolve(accepted))
            await client.connect(new StreamableHTTPClientTransport(new URL(nodes[0].url), { fetch: fetching }))
            return client
          }),
          (client) => Effect.promise(() => client.close())
        )
        assert.strictEqual(client.getProtocolEra(), "modern")
        const result = yield* Effect.promise(() => client.callTool({ name: "asking_ask" }))
        assert.strictEqual(textOf(result), JSON.stringify(accepted))
        assert.isAtLeast(next, 3)
      }))

    it.effect("sends the updates of a resource to the stream of its client at another node", () =>
      Effect.gen(function*() {
        const { nodes } = yield* Started
        const { client, sessionId: session } = yield* connectV1(nodes[1].url)
        const updated = yield* Effect.forkScoped(
          Effect.callback<string>((resume) => {
            client.fallbackNotificationHandler = async ({ method, params }) => {
              if (method === "notifications/resources/updated") resume(Effect.succeed(String(params?.uri)))
            }
          })
        )
        const message = (id: number, method: string) => ({ jsonrpc: "2.0", id, method, params: { uri: "note://1" } })
        yield* post(nodes[0].url, message(1, "resources/subscribe"), { session })
        yield* post(nodes[2].url, call(2, "only_change", { uri: "note://1" }), { session })
        assert.strictEqual(yield* Fiber.join(updated), "note://1")
      }))
  })
}
