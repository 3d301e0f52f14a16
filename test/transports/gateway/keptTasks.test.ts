/**
 * The tasks of a gateway: how many there are, and how long and how much of them is kept.
 */
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { makeCall } from "../../../packages/transports/src/internal/gateway/client/clientCall.ts"
import type { ClientSession } from "../../../packages/transports/src/internal/gateway/client/clientSession.ts"
import type { Task } from "../../../packages/transports/src/internal/gateway/client/task.ts"
import {
  type TaskPlace,
  Tasks,
  type TasksOptions
} from "../../../packages/transports/src/internal/gateway/client/tasks.ts"
import { RpcError } from "../../../packages/transports/src/internal/gateway/protocol/rpc.ts"

const [second, minute, hour] = [1000, 60_000, 3_600_000]

const clientOf = (principal: string): ClientSession =>
  ({ principal, name: `session of ${principal}`, protocolVersion: "2025-11-25", capabilities: {} }) as ClientSession

const [ada, bob] = [clientOf("ada"), clientOf("bob")]

const make = (options: Partial<TasksOptions> = {}) => {
  const time = { now: 0 }
  const tasks = new Tasks({
    keys: [],
    route: "/mcp",
    limits: { maxTasks: 4, maxTasksPerPrincipal: 3 },
    timeOfDay: () => time.now,
    ...options
  })
  const call = () => makeCall({ id: 1, progressToken: undefined, reply: { related: () => false, settle: () => {} } })
  const reserve = (client = ada, asked?: number): TaskPlace => {
    const place = tasks.reserve(client, asked)
    assert.notInstanceOf(place, RpcError)
    return place as TaskPlace
  }
  /** Begins a task. */
  const begin = (client = ada, { asked, ttl }: { readonly asked?: number; readonly ttl?: number | null } = {}) => {
    const place = reserve(client, asked)
    place.report(call(), { ttl })
    return { place, task: place.task as Task }
  }
  const complete = (place: TaskPlace, text = "done") =>
    tasks.end(place, { _tag: "Completed", result: { content: [{ type: "text", text }] } })
  return { tasks, time, reserve, begin, complete }
}

describe("the outcome of a task", () => {
  it("is kept as long as the client asks for and the server says, for an hour by default, and for a day at most", () => {
    const { begin } = make({ limits: { maxTasks: 10, maxTasksPerPrincipal: 10 } })
    const ttlOf = (options: Parameters<typeof begin>[1]) => begin(ada, options).task.legacy.ttl
    assert.strictEqual(ttlOf({}), hour)
    assert.strictEqual(ttlOf({ ttl: null }), hour)
    assert.strictEqual(ttlOf({ asked: 5 * second, ttl: null }), 5 * second)
    assert.strictEqual(ttlOf({ asked: 5 * second, ttl: minute }), minute)
    assert.strictEqual(ttlOf({ ttl: 1e12 }), 24 * hour)
    assert.strictEqual(ttlOf({ asked: 0 }), second)
  })

  it("is forgotten when its time is over, with its place", () => {
    const { begin, complete, tasks, time } = make({ limits: { maxTasks: 1, maxTasksPerPrincipal: 1 } })
    const { place, task } = begin()
    assert.isTrue(complete(place))
    time.now = hour
    assert.strictEqual(tasks.find(task.id, ada), task)
    assert.instanceOf(tasks.reserve(ada), RpcError)
    time.now = hour + 1
    assert.isUndefined(tasks.find(task.id, ada))
    assert.notInstanceOf(tasks.reserve(ada), RpcError)
  })

  it("is forgotten by the sweep if nobody asks for it", () => {
    const { begin, complete, tasks, time } = make({ limits: { maxTasks: 1, maxTasksPerPrincipal: 1 } })
    complete(begin().place)
    time.now = hour + 1
    tasks.sweep()
    assert.notInstanceOf(tasks.reserve(ada), RpcError)
  })

  it("is kept for a while after the end of a task that has run for longer than it was to be kept", () => {
    const { begin, complete, tasks, time } = make()
    const { place, task } = begin()
    time.now = 3 * hour
    assert.strictEqual(tasks.find(task.id, ada), task)
    assert.strictEqual(task.legacy.ttl, 3 * hour + 5 * minute)
    complete(place)
    time.now += 5 * minute
    assert.strictEqual(tasks.find(task.id, ada), task)
    time.now += 1
    assert.isUndefined(tasks.find(task.id, ada))
  })

  it("is that it was cancelled, of a task that has run for a day", () => {
    const { begin, tasks, time } = make()
    const { task } = begin()
    time.now = 24 * hour
    tasks.sweep()
    assert.strictEqual(task.legacy.status, "working")
    time.now += 1
    tasks.sweep()
    assert.strictEqual(task.legacy.status, "cancelled")
  })

  it("does not change once it is there", () => {
    const { begin, complete, tasks } = make()
    const { place, task } = begin()
    task.cancel()
    complete(place)
    assert.strictEqual(tasks.find(task.id, ada)?.legacy.status, "cancelled")
  })

  it("is an error if all outcomes would be too large to keep, unless its principal keeps less than its share", () => {
    const { begin, complete } = make({ keptLimit: 1000 })
    const [first, second, third] = [begin(), begin(), begin(bob)]
    complete(first.place, "x".repeat(900))
    complete(second.place, "y".repeat(900))
    complete(third.place, "z".repeat(400))
    assert.strictEqual(first.task.detailed.status, "completed")
    assert.deepNestedInclude(second.task.detailed, { status: "failed", "error.data.reason": "ResultNotKept" })
    assert.strictEqual(third.task.detailed.status, "completed")
  })

  it("gives its bytes back when it is forgotten", () => {
    const { begin, complete, tasks, time } = make({ keptLimit: 1000 })
    complete(begin().place, "x".repeat(900))
    time.now = 2 * hour
    tasks.sweep()
    // With another principal, a share is not enough.
    begin(bob)
    const { place, task } = begin()
    complete(place, "y".repeat(900))
    assert.strictEqual(task.detailed.status, "completed")
  })
})

describe("the tasks of a principal", () => {
  it("are limited in number, those of calls that may become tasks among them", () => {
    const { begin, complete, reserve, tasks } = make()
    begin()
    const [first] = [reserve(), reserve()]
    assert.instanceOf(tasks.reserve(ada), RpcError)
    // The call has ended in the ordinary way.
    assert.isFalse(complete(first))
    assert.notInstanceOf(tasks.reserve(ada), RpcError)
  })

  it("are admitted below its equal share, while there are as many as there may be", () => {
    const { begin, tasks } = make()
    for (const client of [ada, ada, ada, clientOf("cleo")]) begin(client)
    assert.notInstanceOf(tasks.reserve(bob), RpcError)
    assert.instanceOf(tasks.reserve(ada), RpcError)
  })
})

describe("the id of a task", () => {
  it("is known to its own principal and session alone, and to no process with another key", () => {
    const { begin, tasks } = make()
    const { task } = begin()
    assert.strictEqual(tasks.find(task.id, ada), task)
    assert.isUndefined(tasks.find(task.id, bob))
    assert.isUndefined(tasks.find(task.id, { ...ada, name: "another session" } as ClientSession))
    assert.isUndefined(make().tasks.find(task.id, ada))
    assert.isUndefined(tasks.find(undefined, ada))
  })

  it("says that the outcome is unknown where the task is not known, until its time is over", () => {
    const keys = [Redacted.make(Buffer.alloc(32, "key"))]
    const { begin } = make({ keys })
    const { tasks, time } = make({ keys })
    const { id } = begin().task
    time.now = hour
    assert.deepNestedInclude(tasks.find(id, ada)?.detailed, { status: "failed", "error.data.reason": "OutcomeUnknown" })
    time.now = hour + 1
    assert.isUndefined(tasks.find(id, ada))
  })
})
