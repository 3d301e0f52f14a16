/**
 * Tasks at a gateway, for clients of 2026-07-28: calls that go on after their clients have a handle.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Gateway } from "@mcp-sessions/transports"
import { Effect, Exit, Fiber, Queue, Redacted, Scope } from "effect"
import { fixture } from "../../fixtures/fixture.ts"
import { startGateway } from "../../fixtures/gateway.ts"
import { modernRequest, modernStream, type Sent, tasksCapability } from "../../fixtures/modernRequest.ts"
import { until } from "../../fixtures/peer.ts"
import { startTaskServer } from "../../fixtures/taskServer.ts"

const tokens = { alice: Redacted.make("the-token-of-alice"), bob: Redacted.make("the-token-of-bob-too") }
const alice: Sent = { token: Redacted.value(tokens.alice) }
const bob: Sent = { token: Redacted.value(tokens.bob) }

const start = (options: Parameters<typeof startGateway>[1] = {}) =>
  Effect.gen(function*() {
    const server = yield* startTaskServer
    const { url } = yield* startGateway({ only: server.config }, options)
    return { server, url }
  })

const callTool = (url: string, name = "long", sent: Sent = {}) =>
  modernRequest(url, "tools/call", { name, arguments: {} }, sent)

/** Calls a tool that becomes a task, and gives the id of the task. */
const create = (url: string, sent: Sent = {}) =>
  Effect.map(callTool(url, "long", sent), ({ result }) => {
    assert.strictEqual(result?.resultType, "task")
    return String(result?.taskId)
  })

const stateOf = (url: string, taskId: string, sent: Sent = {}) =>
  Effect.map(modernRequest(url, "tasks/get", { taskId }, sent), ({ error, result }) => {
    assert.isUndefined(error)
    return result ?? {}
  })

const untilState = (url: string, taskId: string, key: string, value: unknown) =>
  stateOf(url, taskId).pipe(Effect.repeat({ until: (state) => state[key] === value }))

const textsOf = (result: unknown) =>
  (result as { readonly content?: ReadonlyArray<{ readonly text: string }> }).content?.map(({ text }) => text)

describe("a client of 2026-07-28 that declares tasks", () => {
  it.live("has a handle at once, and the result once the tool has ended", () =>
    Effect.gen(function*() {
      const { server, url } = yield* start()
      const discovered = yield* modernRequest(url, "server/discover")
      assert.deepInclude(discovered.result?.capabilities, tasksCapability)
      const { taskId, ...handle } = (yield* callTool(url)).result ?? {}
      assert.deepInclude(handle, { resultType: "task", status: "working", ttlMs: 3_600_000, pollIntervalMs: 100 })
      assert.doesNotHaveAnyKeys(handle, ["task", "ttl", "result", "inputRequests"])
      yield* server.say("half done")
      yield* untilState(url, String(taskId), "statusMessage", "half done")
      yield* server.end({ text: "whole" })
      assert.deepInclude(yield* untilState(url, String(taskId), "status", "completed"), {
        resultType: "complete",
        taskId,
        // Which task of the server it was is nothing to the client.
        result: { content: [{ type: "text", text: "whole" }] }
      })
      assert.strictEqual(server.count("POST tools/call long"), 1)
    }))

  it.live("sees an error of the tool as a result, and an error of the server as it was sent", () =>
    Effect.gen(function*() {
      const { server, url } = yield* start()
      const first = yield* create(url)
      yield* server.end({ text: "no such city", isError: true })
      const completed = yield* untilState(url, first, "status", "completed")
      assert.deepInclude(completed.result, { isError: true })
      const second = yield* create(url)
      yield* server.end({ code: -32_099 })
      const failed = yield* untilState(url, second, "status", "failed")
      assert.deepStrictEqual(failed.error, { code: -32_099, message: "broken", data: { why: "test" } })
      assert.strictEqual(failed.statusMessage, "broken")
      assert.notProperty(failed, "result")
    }))

  it.live("learns that the outcome is unknown if the server is lost, and the tool does not run again", () =>
    Effect.gen(function*() {
      const { server, url } = yield* start()
      const taskId = yield* create(url)
      yield* server.breakPolls
      const { error } = yield* untilState(url, taskId, "status", "failed")
      assert.deepNestedInclude(error, { code: -32_010, "data.reason": "OutcomeUnknown", "data.delivery": "Unknown" })
      assert.strictEqual(server.count("POST tools/call long"), 1)
    }))

  it.live("answers what the server asks, and answers to nothing are ignored", () =>
    Effect.gen(function*() {
      const { server, url } = yield* start()
      const capabilities = { ...tasksCapability, elicitation: { form: {} } }
      const taskId = yield* create(url, { capabilities })
      const answered = yield* Effect.forkChild(server.ask("Your name?"), { startImmediately: true })
      const asking = yield* untilState(url, taskId, "status", "input_required")
      const [[key = "", request] = []] = Object.entries(asking.inputRequests as Record<string, unknown>)
      assert.deepNestedInclude(request, { method: "elicitation/create", "params.message": "Your name?" })
      const update = (inputResponses: unknown) => modernRequest(url, "tasks/update", { taskId, inputResponses })
      const { result: acknowledged } = yield* update({ other: {} })
      assert.hasAllKeys(acknowledged, ["resultType", "_meta"])
      assert.strictEqual((yield* stateOf(url, taskId)).status, "input_required")
      assert.strictEqual((yield* update("name")).error?.code, -32_602)
      const answer = { action: "accept", content: { name: "Ada" } }
      yield* update({ [key]: answer })
      assert.deepStrictEqual(yield* Fiber.join(answered), answer)
      assert.strictEqual((yield* stateOf(url, taskId)).status, "working")
      yield* server.end({ text: "Hello, Ada" })
      assert.deepStrictEqual(textsOf((yield* untilState(url, taskId, "status", "completed")).result), ["Hello, Ada"])
    }))

  it.live("cancels a task, also one that has ended, and the call has one record", () =>
    Effect.gen(function*() {
      const records = yield* Queue.unbounded<Gateway.AuditRecord>()
      const { server, url } = yield* start({ audit: (record) => Queue.offer(records, record) })
      const taskId = yield* create(url)
      const cancel = modernRequest(url, "tasks/cancel", { taskId })
      const acknowledged = { resultType: "complete", status: undefined }
      assert.include({ status: undefined, ...(yield* cancel).result }, acknowledged)
      assert.strictEqual((yield* stateOf(url, taskId)).status, "cancelled")
      yield* until(() => server.count("POST tasks/cancel"), (count) => count === 1)
      assert.deepInclude(yield* Queue.take(records), { name: "long", server: "only", outcome: "Cancelled" })
      assert.include({ status: undefined, ...(yield* cancel).result }, acknowledged)
      yield* create(url)
      yield* server.end({ text: "done" })
      assert.deepInclude(yield* Queue.take(records), { name: "long", outcome: "Succeeded", delivery: "Answered" })
      assert.strictEqual(yield* Queue.size(records), 0)
    }))

  it.live("receives a notification for each new state of the tasks that it names", () =>
    Effect.gen(function*() {
      const { server, url } = yield* start()
      const taskId = yield* create(url)
      const messages = yield* Queue.unbounded<Readonly<Record<string, unknown>>>()
      const notifications = { taskIds: [taskId, "unknown"] }
      yield* Effect.forkChild(
        Effect.promise(async (signal) => {
          const stream = await modernStream(url, "subscriptions/listen", { notifications }, signal)
          for await (const { method, params } of stream) Queue.offerUnsafe(messages, { method, ...params })
        }),
        { startImmediately: true }
      )
      assert.deepInclude(yield* Queue.take(messages), { notifications: { taskIds: [taskId] } })
      assert.deepInclude(yield* Queue.take(messages), { method: "notifications/tasks", taskId, status: "working" })
      yield* server.end({ text: "done" })
      const last = yield* Queue.take(messages).pipe(Effect.repeat({ until: ({ status }) => status === "completed" }))
      assert.deepStrictEqual(textsOf(last.result), ["done"])
      assert.deepInclude(last._meta, { "io.modelcontextprotocol/subscriptionId": 1 })
    }))

  it.live("has the state of a task whose gateway stops", () =>
    Effect.gen(function*() {
      const server = yield* startTaskServer
      const scope = yield* Scope.make()
      const { url } = yield* Scope.provide(startGateway({ only: server.config }), scope)
      const taskId = yield* create(url)
      const states = yield* Queue.unbounded<Readonly<Record<string, unknown>>>()
      yield* Effect.forkChild(
        Effect.promise(async (signal) => {
          const notifications = { taskIds: [taskId] }
          const stream = await modernStream(url, "subscriptions/listen", { notifications }, signal)
          for await (const { params } of stream) Queue.offerUnsafe(states, params ?? {})
        }),
        { startImmediately: true }
      )
      yield* Queue.take(states).pipe(Effect.repeat({ until: ({ status }) => status === "working" }))
      yield* Scope.close(scope, Exit.void)
      const { error } = yield* Queue.take(states).pipe(Effect.repeat({ until: ({ status }) => status === "failed" }))
      assert.deepNestedInclude(error, { code: -32_010, "data.reason": "SessionClosed", "data.delivery": "Unknown" })
      assert.strictEqual(server.count("POST tasks/cancel"), 1)
    }))

  it.live("learns that the outcome is unknown of a task that its gateway does not know any more", () =>
    Effect.gen(function*() {
      const server = yield* startTaskServer
      const sessionKey = Redacted.make(Buffer.alloc(32, "key"))
      const [before, after] = [
        yield* startGateway({ only: server.config }, { sessionKey }),
        yield* startGateway({ only: server.config }, { sessionKey })
      ]
      const taskId = yield* create(before.url)
      const { error, status } = yield* stateOf(after.url, taskId)
      assert.strictEqual(status, "failed")
      assert.deepNestedInclude(error, { code: -32_010, "data.reason": "OutcomeUnknown", "data.delivery": "Unknown" })
    }))

  it.live("has the result in the ordinary way when its principal has too many tasks", () =>
    Effect.gen(function*() {
      const { server, url } = yield* start({ limits: { maxTasksPerPrincipal: 1 }, tokens })
      yield* create(url, alice)
      assert.deepStrictEqual(textsOf((yield* callTool(url, "long", alice)).result), ["in the ordinary way"])
      yield* create(url, bob)
      assert.lengthOf(server.tasks(), 2)
    }))

  it.live("has the result of a tool that does not run as a task", () =>
    Effect.gen(function*() {
      const { url } = yield* start({ limits: { maxTasksPerPrincipal: 1 } })
      for (const _ of [1, 2]) {
        const { result } = yield* callTool(url, "plain")
        assert.deepInclude(result, { resultType: "complete" })
        assert.deepStrictEqual(textsOf(result), ["in the ordinary way"])
      }
    }))
})

describe("the task of a client", () => {
  it.live("is nothing that others know of", () =>
    Effect.gen(function*() {
      const { server, url } = yield* start({ tokens })
      const taskId = yield* create(url, alice)
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        const send = (taskId: string) => modernRequest(url, method, { taskId, inputResponses: {} }, bob)
        const foreign = yield* send(taskId)
        assert.strictEqual(foreign.error?.code, -32_602)
        assert.deepStrictEqual(foreign, yield* send("786512e2-9e0d-44bd-8f29-789f320fe840"))
      }
      assert.strictEqual((yield* stateOf(url, taskId, alice)).status, "working")
      assert.strictEqual(server.count("POST tasks/cancel"), 0)
    }))

  it.live("is found with other capabilities than those of the call", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const taskId = yield* create(url)
      const sent = { capabilities: { ...tasksCapability, sampling: {} } }
      assert.strictEqual((yield* stateOf(url, taskId, sent)).status, "working")
    }))

  it.live("needs the extension and the headers of the revision, and has no methods of the revision before", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const taskId = yield* create(url)
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        const { error, status } = yield* modernRequest(url, method, { taskId }, { capabilities: {} })
        assert.strictEqual(status, 400)
        assert.deepInclude(error, { code: -32_021, data: { requiredCapabilities: tasksCapability } })
        const renamed = yield* modernRequest(url, method, { taskId }, { headers: { "mcp-name": "another" } })
        assert.deepStrictEqual([renamed.status, renamed.error?.code], [400, -32_020])
      }
      const notifications = { taskIds: [taskId] }
      const listening = yield* modernRequest(url, "subscriptions/listen", { notifications }, { capabilities: {} })
      assert.strictEqual(listening.error?.code, -32_021)
      for (const method of ["tasks/list", "tasks/result"]) {
        const { error, status } = yield* modernRequest(url, method, { taskId })
        assert.deepStrictEqual([status, error?.code], [404, -32_601])
      }
    }))
})

describe("a client of 2026-07-28 that does not declare tasks", () => {
  it.live("has the result of a tool that runs as a task alone", () =>
    Effect.gen(function*() {
      const { server, url } = yield* start()
      const called = yield* Effect.forkChild(callTool(url, "only", { capabilities: {} }), { startImmediately: true })
      yield* until(() => server.tasks().length, (count) => count === 1)
      yield* server.end({ text: "whole" })
      const { result } = yield* Fiber.join(called)
      assert.deepStrictEqual(textsOf(result), ["whole"])
      assert.notProperty((result as { readonly _meta: object })._meta, "io.modelcontextprotocol/related-task")
    }))
})

describe("a server of 2026-07-28 with tasks", () => {
  const peer = { command: process.execPath, args: [fixture("modernStdio.ts"), "tasks"] }
  const script = (...statuses: ReadonlyArray<object>) => ({ statuses })
  const call = (url: string, name: string, args: object, more: object = {}) =>
    modernRequest(url, "tools/call", { name, arguments: args, ...more }, {
      capabilities: { ...tasksCapability, elicitation: { form: {} } }
    })
  const done = { status: "completed", result: { content: [], structuredContent: { count: 1 } } }
  const who = {
    method: "elicitation/create",
    params: { mode: "form", message: "who?", requestedSchema: { type: "object", properties: {} } }
  }

  it.live("has its task offered, its questions asked, and its result given", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({ only: peer })
      const statuses = script({ status: "input_required", inputRequests: { who } }, done)
      const { result: handle } = yield* call(url, "task", statuses)
      assert.strictEqual(handle?.resultType, "task")
      const taskId = String(handle?.taskId)
      const { inputRequests } = yield* untilState(url, taskId, "status", "input_required")
      const [[key = ""] = []] = Object.entries(inputRequests as object)
      yield* modernRequest(url, "tasks/update", { taskId, inputResponses: { [key]: { action: "decline" } } })
      const { result } = yield* untilState(url, taskId, "status", "completed")
      assert.deepInclude(result, { structuredContent: { count: 1 } })
    }))

  it.live("may cancel its task by itself", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({ only: peer })
      const { result } = yield* call(url, "task", script({ status: "cancelled" }))
      const cancelled = yield* untilState(url, String(result?.taskId), "status", "cancelled")
      assert.doesNotHaveAnyKeys(cancelled, ["result", "error"])
    }))
})
