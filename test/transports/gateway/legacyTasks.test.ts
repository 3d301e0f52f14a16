/**
 * Tasks at a gateway, for clients of 2025-11-25, which ask for a task with a call.
 */
import { assert, describe, it } from "@effect/vitest"
import { CallToolResultSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Fiber, Schedule } from "effect"
import { fromDecimal } from "../../../packages/transports/src/internal/exactNumbers.ts"
import { fixture } from "../../fixtures/fixture.ts"
import { openStream } from "../../fixtures/fleetServer.ts"
import { call, connectV1, initialize, post, startGateway, streamOf, textOf } from "../../fixtures/gateway.ts"
import { until } from "../../fixtures/peer.ts"
import { startTaskServer } from "../../fixtures/taskServer.ts"

const related = "io.modelcontextprotocol/related-task"

interface Message {
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

const taskOf = (result: Message["result"] = {}) => result.task as { readonly taskId: string }

const answering = { ...initialize, params: { ...initialize.params, capabilities: { elicitation: { form: {} } } } }

/** A client that has initialized. */
const connect = (url: string, body: object = answering) =>
  Effect.map(post(url, body), ({ session, text }) => {
    let last = 0
    const message = (method: string, params: object) => ({ jsonrpc: "2.0", id: ++last, method, params })
    const request = (method: string, params: object = {}) =>
      Effect.map(
        post(url, message(method, params), { session }),
        ({ text }): Message => JSON.parse(text.startsWith("{") ? text : text.slice(text.lastIndexOf("data: ") + 6))
      )
    const create = (task: object = {}, name = "long") => request("tools/call", { name, arguments: {}, task })
    return {
      session,
      capabilities: (JSON.parse(text) as Message).result?.capabilities,
      message,
      request,
      create,
      created: Effect.map(create(), ({ result }) => taskOf(result).taskId)
    }
  })

const start = (options: Parameters<typeof startGateway>[1] = {}) =>
  Effect.gen(function*() {
    const server = yield* startTaskServer
    const { url } = yield* startGateway({ only: server.config }, options)
    return { server, url, client: yield* connect(url) }
  })

describe("a client of 2025-11-25", () => {
  it.live("learns which tools may run as tasks, and clients of other revisions do not", () =>
    Effect.gen(function*() {
      const { client, url } = yield* start()
      const tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } }
      assert.deepInclude(client.capabilities, { tasks })
      const supportOf = ({ result = {} }: Message) =>
        (result.tools as ReadonlyArray<{ readonly execution?: unknown }>).map(({ execution }) => execution)
      const optional = { taskSupport: "optional" }
      assert.deepStrictEqual(supportOf(yield* client.request("tools/list")), [optional, optional, undefined])
      const params = { ...initialize.params, protocolVersion: "2025-06-18" }
      const before = yield* connect(url, { ...initialize, params })
      assert.notProperty(before.capabilities, "tasks")
      assert.deepStrictEqual(supportOf(yield* before.request("tools/list")), [undefined, undefined, undefined])
      assert.strictEqual((yield* before.request("tasks/list")).error?.code, -32_601)
      const { result } = yield* before.create()
      assert.strictEqual(textOf(result), "in the ordinary way")
    }))

  it.live("has a handle of the task, its states on the stream, and its result", () =>
    Effect.gen(function*() {
      const { client, server, url } = yield* start()
      const stream = yield* openStream(url, client.session)
      const { result } = yield* client.create({ ttl: 5000 })
      const { taskId, ...task } = taskOf(result)
      assert.deepInclude(task, { status: "working", ttl: 5000, pollInterval: 100 })
      assert.strictEqual(server.tasks()[0]?.ttl, 5000)
      yield* server.say("half done")
      yield* until(stream.text, (text) => text.includes("half done"))
      assert.include(stream.text(), "\"method\":\"notifications/tasks/status\"")
      const waiting = yield* Effect.forkChild(client.request("tasks/result", { taskId }), { startImmediately: true })
      yield* server.end({ text: "whole" })
      const outcome = (yield* Fiber.join(waiting)).result
      assert.strictEqual(textOf(outcome), "whole")
      assert.deepStrictEqual(outcome?._meta, { [related]: { taskId } })
      assert.strictEqual((yield* client.request("tasks/get", { taskId })).result?.status, "completed")
      const listed = (yield* client.request("tasks/list")).result?.tasks as ReadonlyArray<{ readonly taskId: string }>
      assert.deepStrictEqual(listed.map(({ taskId }) => taskId), [taskId])
      assert.strictEqual((yield* client.request("tasks/list", { cursor: "2" })).error?.code, -32_602)
    }))

  it.live("has a failed task of a tool that reports an error, with the result of the tool, and the error of a server", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start()
      const first = yield* client.created
      yield* server.end({ text: "no such city", isError: true })
      const { result } = yield* client.request("tasks/result", { taskId: first })
      assert.deepInclude(result, { isError: true })
      assert.strictEqual((yield* client.request("tasks/get", { taskId: first })).result?.status, "failed")
      const second = yield* client.created
      yield* server.end({ code: -32_099 })
      const { error } = yield* client.request("tasks/result", { taskId: second })
      assert.deepStrictEqual(error, { code: -32_099, message: "broken", data: { why: "test" } })
    }))

  it.live("is asked while it waits for the result, and again by another request for it", () =>
    Effect.gen(function*() {
      const { client, server, url } = yield* start()
      const taskId = yield* client.created
      const answered = yield* Effect.forkChild(server.ask("Your name?"), { startImmediately: true })
      yield* client.request("tasks/get", { taskId }).pipe(
        Effect.repeat({ until: ({ result }) => result?.status === "input_required" })
      )
      /** Waits for the result until the server asks, and gives the question. */
      const wait = (id: number) =>
        Effect.promise(async (signal) => {
          const body = { ...client.message("tasks/result", { taskId }), id }
          for await (const message of await streamOf(url, client.session, body, signal)) {
            if (message.method === "elicitation/create") return message
          }
          return undefined
        })
      const question = yield* wait(100)
      assert.deepNestedInclude(question, { "params.message": "Your name?" })
      assert.deepStrictEqual(question?.params?._meta, { [related]: { taskId } })
      const cancelled = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 100 } }
      yield* post(url, cancelled, { session: client.session })
      const again = yield* wait(101)
      assert.strictEqual(again?.id, question?.id)
      const result = { action: "accept", content: { name: "Ada" } }
      yield* post(url, { jsonrpc: "2.0", id: question?.id, result }, { session: client.session })
      assert.deepStrictEqual(yield* Fiber.join(answered), result)
      yield* server.end({ text: "Hello, Ada" })
      assert.strictEqual(textOf((yield* client.request("tasks/result", { taskId })).result), "Hello, Ada")
    }))

  it.live("cancels a task by its id, not by the id of the call, and not once it has ended", () =>
    Effect.gen(function*() {
      const { client, server, url } = yield* start()
      const created = yield* post(url, { ...call(77, "long"), params: { name: "long", task: {} } }, client)
      const { taskId } = (JSON.parse(created.text) as { result: { task: { taskId: string } } }).result.task
      const params = { requestId: 77 }
      yield* post(url, { jsonrpc: "2.0", method: "notifications/cancelled", params }, { session: client.session })
      assert.strictEqual((yield* client.request("tasks/get", { taskId })).result?.status, "working")
      assert.strictEqual((yield* client.request("tasks/cancel", { taskId })).result?.status, "cancelled")
      yield* until(() => server.count("POST tasks/cancel"), (count) => count === 1)
      assert.strictEqual((yield* client.request("tasks/cancel", { taskId })).error?.code, -32_602)
      const { error } = yield* client.request("tasks/result", { taskId })
      assert.deepNestedInclude(error, { code: -32_010, "data.reason": "Cancelled", "data.delivery": "Unknown" })
    }))

  it.live("has its tasks cancelled with its session, and no other session knows of them", () =>
    Effect.gen(function*() {
      const { client, server, url } = yield* start()
      const taskId = yield* client.created
      const other = yield* connect(url)
      assert.strictEqual((yield* other.request("tasks/get", { taskId })).error?.code, -32_602)
      assert.deepStrictEqual((yield* other.request("tasks/list")).result, { tasks: [] })
      yield* post(url, undefined, { session: client.session, method: "DELETE" })
      yield* until(() => server.count("POST tasks/cancel"), (count) => count === 1)
    }))

  it.live("has room for tasks again once the session of others has ended", () =>
    Effect.gen(function*() {
      const { client, server, url } = yield* start({ limits: { maxTasksPerPrincipal: 1 } })
      yield* client.created
      const other = yield* connect(url)
      assert.isDefined((yield* other.create()).error)
      yield* post(url, undefined, { session: client.session, method: "DELETE" })
      yield* until(() => server.count("POST tasks/cancel"), (count) => count === 1)
      const { result } = yield* Effect.repeat(other.create(), {
        schedule: Schedule.spaced("20 millis"),
        times: 250,
        until: ({ result }) => result !== undefined
      })
      assert.isString(taskOf(result).taskId)
    }))

  it.live("is refused a task of a tool that has none, and beyond the limit, before the server hears of it", () =>
    Effect.gen(function*() {
      const { client, server } = yield* start({ limits: { maxTasksPerPrincipal: 1 } })
      assert.strictEqual((yield* client.create({}, "plain")).error?.code, -32_601)
      assert.strictEqual((yield* client.create({ ttl: "long" })).error?.code, -32_602)
      assert.strictEqual((yield* client.create({ ttl: fromDecimal("1e400") })).error?.code, -32_602)
      yield* client.created
      const { error } = yield* client.create()
      assert.deepInclude(error, { code: -32_000 })
      assert.strictEqual(server.count("POST tools/call long"), 1)
    }))

  it.live("has a task of a call that its server has answered at once", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({
        only: { command: process.execPath, args: [fixture("conformanceTasks.ts")] }
      })
      const client = yield* connect(url)
      const { taskId } = taskOf((yield* client.create({}, "greet")).result)
      assert.strictEqual((yield* client.request("tasks/get", { taskId })).result?.status, "completed")
      assert.strictEqual(textOf((yield* client.request("tasks/result", { taskId })).result), "Hello, !")
    }))

  it.live("runs a tool of a real server as a task that asks its user, on SDK v1", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({ only: { command: "mcp-server-everything", args: ["stdio"] } })
      const { client } = yield* connectV1(url, {
        capabilities: { elicitation: { form: {} } },
        prepare: (client) =>
          client.setRequestHandler(ElicitRequestSchema, () => ({
            action: "accept" as const,
            content: { interpretation: "snake" }
          }))
      })
      const seen: Array<string> = []
      const text = yield* Effect.promise(async () => {
        await client.listTools()
        const stream = client.experimental.tasks.callToolStream(
          { name: "simulate-research-query", arguments: { topic: "python", ambiguous: true } },
          CallToolResultSchema
        )
        for await (const message of stream) {
          seen.push(message.type === "taskStatus" ? message.task.status : message.type)
          if (message.type === "result") return textOf(message.result)
        }
        return ""
      })
      assert.include(text, "snake")
      assert.includeMembers(seen, ["taskCreated", "working", "input_required", "result"])
    }), 60_000)
})
