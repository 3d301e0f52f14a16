/**
 * Tool calls that run as tasks on the server.
 */
import { assert, describe, it } from "@effect/vitest"
import { Connection, type Mcp, SessionError, Sessions } from "@mcp-sessions/core"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { settled, start } from "../../fixtures/fibers.ts"
import * as Scripted from "../../fixtures/scripted.ts"
import { sound } from "../../fixtures/soundOptions.ts"

const get = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))

const done = { content: [{ type: "text" as const, text: "done" }] }

const info = { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } }

const gone = new SessionError.TransportClosed({ delivery: "Unknown" })

/** A server whose task reports these states, one per request; the last one repeats. */
const working = (states: ReadonlyArray<Partial<Mcp.Task>>, options: {
  readonly result?: Effect.Effect<unknown, SessionError.Reason>
  readonly onGet?: (asked: number) => Effect.Effect<void, SessionError.Reason>
} = {}) => {
  const asked: Array<readonly [string, unknown]> = []
  let gets = 0
  const script = Scripted.make({
    info,
    answer: ({ method, params }) =>
      Effect.gen(function*() {
        asked.push([method, params])
        const task = { taskId: "t1", ttl: null, createdAt: "", lastUpdatedAt: "" }
        if (method === "tools/call") return { task: { ...task, ...states[0] } }
        if (method === "tasks/result") return yield* options.result ?? Effect.succeed(done)
        if (method !== "tasks/get") return {}
        gets++
        yield* options.onGet?.(gets) ?? Effect.void
        return { ...task, ...states[Math.min(gets, states.length - 1)] }
      })
  })
  return { script, asked }
}

const states = (task: Mcp.Task) => `${task.status} ${task.statusMessage ?? ""}`.trim()

describe("a task", () => {
  it.effect("is polled at the interval of the server, and its result is fetched when it completes", () => {
    const { asked, script } = working([
      { status: "working", pollInterval: 60_000, statusMessage: "reading" },
      { status: "working", pollInterval: 60_000, statusMessage: "reading" },
      { status: "working", pollInterval: 60_000, statusMessage: "writing" },
      { status: "completed" }
    ])
    const seen: Array<string> = []
    return Effect.gen(function*() {
      const session = yield* get
      const task = { ttl: 1000, onTask: (task: Mcp.Task) => void seen.push(states(task)) }
      const call = yield* Effect.forkChild(session.callTool("long", { n: 1 }, { task }), { startImmediately: true })
      // The task takes longer than `requestTimeout`.
      yield* Effect.raceFirst(Fiber.await(call), Effect.forever(TestClock.adjust("1 minute")))
      assert.deepStrictEqual(yield* Fiber.join(call), done)
      assert.deepStrictEqual(seen, ["working reading", "working writing", "completed"])
      assert.deepStrictEqual(asked, [
        ["tools/call", { name: "long", arguments: { n: 1 }, task: { ttl: 1000 } }],
        ["tasks/get", { taskId: "t1" }],
        ["tasks/get", { taskId: "t1" }],
        ["tasks/get", { taskId: "t1" }],
        ["tasks/result", { taskId: "t1" }]
      ])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is not polled in a tight loop, whatever interval the server requires", () => {
    const { asked, script } = working([{ status: "working", pollInterval: 0 }])
    return Effect.gen(function*() {
      const session = yield* get
      yield* Effect.forkChild(session.callTool("long", {}, { task: {} }), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(asked.length, 11)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("survives the loss of the connection, and is created once", () => {
    const { asked, script } = working([{ status: "working" }, { status: "working" }, { status: "completed" }], {
      onGet: (asked) =>
        asked === 1 ? Effect.andThen(Effect.suspend(() => script.lose(gone)), Effect.fail(gone)) : Effect.void
    })
    return Effect.gen(function*() {
      const session = yield* get
      const call = yield* Effect.forkChild(session.callTool("long", {}, { task: {} }), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(call), done)
      assert.strictEqual(asked.filter(([method]) => method === "tools/call").length, 1)
      assert.strictEqual(yield* session.generation, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is cancelled on the server when the call is interrupted", () => {
    const { asked, script } = working([{ status: "working" }])
    return Effect.gen(function*() {
      const session = yield* get
      const call = yield* Effect.forkChild(session.callTool("long", {}, { task: {} }), { startImmediately: true })
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(call)
      assert.deepStrictEqual(asked.at(-1), ["tasks/cancel", { taskId: "t1" }])
      assert.strictEqual(asked.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails the call with the error of the server when it fails", () => {
    const failure = new SessionError.ProtocolFailed({
      method: "tasks/result",
      code: -32603,
      description: "no",
      data: undefined
    })
    const { asked, script } = working([{ status: "failed" }], { result: Effect.fail(failure) })
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip(sound((yield* get).callTool("long", {}, { task: {} })))
      assert.strictEqual(reason._tag, "ProtocolFailed")
      assert.strictEqual(asked.length, 2)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails with Unsupported, without a request, when the server does not run tools as tasks", () => {
    const script = Scripted.make({})
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip(sound((yield* get).callTool("long", {}, { task: {} })))
      assert.strictEqual(reason._tag, "Unsupported")
      assert.deepStrictEqual(script.requests, [])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  for (
    const [what, answer] of [
      ["has no task", { content: [] }],
      ["has a task without a status", { task: { taskId: "t" } }]
    ] as const
  ) {
    it.effect(`fails with InvalidResult when the response ${what}`, () => {
      const script = Scripted.make({ info, answer: () => Effect.succeed(answer) })
      return Effect.gen(function*() {
        const { reason } = yield* Effect.flip(sound((yield* get).callTool("long", {}, { task: {} })))
        assert.strictEqual(reason._tag, "InvalidResult")
      }).pipe(Effect.provide(Scripted.sessions(script)))
    })
  }
})

describe("a tool call that runs as a task", () => {
  it.effect("never fails with the delivery NotSent once the server has accepted it", () => {
    let isDown = false
    const script = Scripted.make({
      info: { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } as never },
      connect: () => Effect.suspend(() => isDown ? Scripted.refused : Effect.void),
      answer: ({ method }) =>
        Effect.sync(() => {
          const task = { taskId: "1", status: "working", pollInterval: 1000 }
          return method === "tools/call" ? { task } : task
        })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const fiber = yield* start(Effect.flip(callTool("s", "charge", {}, { task: {} })))
      yield* TestClock.adjust("1500 millis")
      assert.include(script.requests, "1:tools/call:charge")
      isDown = true
      yield* script.lose(gone)
      yield* settled(fiber)
      const error = yield* Fiber.join(fiber)
      assert(error._tag === "SessionError")
      assert.deepStrictEqual([error.delivery, error.isRetryable], ["Unknown", false])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("ends with its result when it cannot be interrupted", () => {
    const script = Scripted.make({
      info: { capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } } as never },
      answer: ({ method }) =>
        method === "tools/call"
          ? Effect.delay(Effect.succeed({ task: { taskId: "1", status: "completed" } }), "3 seconds")
          : Effect.succeed({ content: [] })
    })
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      let ended: string | undefined
      const fiber = yield* start(Effect.uninterruptible(
        Effect.onExit(callTool("s", "charge", {}, { task: {} }), (exit) =>
          Effect.sync(() => {
            ended = exit._tag
          }))
      ))
      yield* TestClock.adjust("1 second")
      yield* start(Fiber.interrupt(fiber))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(ended, "Success")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

const modern = {
  era: "modern" as const,
  capabilities: { tools: {}, extensions: { [Connection.tasksExtension]: {} } }
}

/** A server of 2026-07-28 whose task shows these statuses, one after the other; the last one repeats. */
const modernTask = (statuses: ReadonlyArray<object>, options: {
  readonly onGet?: (polls: number) => Effect.Effect<void, SessionError.Reason>
  readonly answerInput?: NonNullable<Parameters<typeof Scripted.make>[0]["answerInput"]>
} = {}) => {
  const asked: Array<readonly [string, Record<string, unknown> | undefined]> = []
  let polls = 0
  const script = Scripted.make({
    info: modern,
    ...(options.answerInput === undefined ? {} : { answerInput: options.answerInput }),
    answer: ({ method, params }) =>
      Effect.gen(function*() {
        asked.push([method, params])
        const task = { taskId: "t1", status: "working", ttlMs: null }
        if (method === "tools/call") return { resultType: "task", ...task }
        if (method !== "tasks/get") return {}
        polls++
        yield* options.onGet?.(polls) ?? Effect.void
        return { ...task, ...statuses[Math.min(polls, statuses.length) - 1] }
      })
  })
  const count = (method: string) => asked.filter((request) => request[0] === method).length
  return { asked, count, script }
}

const waiting = { status: "input_required", inputRequests: { who: { method: "elicitation/create" } } }

describe("a task of 2026-07-28", () => {
  it.effect("is declared by the call and by each request about it, beside the metadata of the caller", () => {
    const { asked, script } = modernTask([{ status: "completed", result: done }])
    return Effect.gen(function*() {
      const session = yield* get
      const call = yield* start(session.callTool("long", { n: 1 }, { task: { ttl: 5 }, meta: { x: 1 } }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(call), done)
      const declared = {
        "io.modelcontextprotocol/clientCapabilities": { extensions: { "io.modelcontextprotocol/tasks": {} } }
      }
      assert.deepStrictEqual(asked, [
        ["tools/call", { name: "long", arguments: { n: 1 }, _meta: { x: 1, ...declared } }],
        ["tasks/get", { taskId: "t1", _meta: declared }]
      ])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("is polled every second, and not more often than ten times a second, whatever the server requires", () => {
    const quick = { status: "working", pollIntervalMs: 0 }
    const { count, script } = modernTask([quick])
    return Effect.gen(function*() {
      yield* start((yield* get).callTool("long", {}, { task: {} }))
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(count("tasks/get"), 0)
      yield* TestClock.adjust("1001 millis")
      assert.strictEqual(count("tasks/get"), 11)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("survives the loss of the connection between and during polls, and is created once", () => {
    const { count, script } = modernTask([{ status: "working" }, { status: "working" }, {
      status: "completed",
      result: done
    }], {
      onGet: (polls) =>
        polls === 2 ? Effect.andThen(Effect.suspend(() => script.lose(gone)), Effect.fail(gone)) : Effect.void
    })
    return Effect.gen(function*() {
      const session = yield* get
      const call = yield* start(session.callTool("long", {}, { task: {} }))
      yield* TestClock.adjust("500 millis")
      yield* script.lose(gone)
      yield* settled(call)
      assert.deepStrictEqual(yield* Fiber.join(call), done)
      assert.strictEqual(count("tools/call"), 1)
      assert.strictEqual(yield* session.generation, 3)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("asks a question once while it is polled, and again on the next connection if the answer was lost", () => {
    const connections: Array<number> = []
    let isAnswered = false
    const { asked, count, script } = modernTask([waiting], {
      answerInput: (connection) => {
        connections.push(connection)
        return connection === 1
          ? Effect.never
          : Effect.delay(Effect.succeed({ who: "Ada" }), "1 minute").pipe(Effect.tap(() =>
            Effect.sync(() => {
              isAnswered = true
            })
          ))
      }
    })
    return Effect.gen(function*() {
      yield* start((yield* get).callTool("long", {}, { task: {} }))
      yield* TestClock.adjust("10 seconds")
      assert.isAbove(count("tasks/get"), 5)
      assert.deepStrictEqual(connections, [1])
      yield* script.lose(gone)
      yield* TestClock.adjust("5 minutes")
      assert.isTrue(isAnswered)
      assert.deepStrictEqual(connections, [1, 2])
      const updates = asked.filter(([method]) => method === "tasks/update")
      assert.deepStrictEqual(updates.map(([, params]) => params?.inputResponses), [{ who: "Ada" }])
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("withdraws its questions when it ends without the answers", () => {
    let isWithdrawn = false
    const { count, script } = modernTask([waiting, { status: "completed", result: done }], {
      answerInput: () =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            isWithdrawn = true
          }))
    })
    return Effect.gen(function*() {
      const call = yield* start((yield* get).callTool("long", {}, { task: {} }))
      yield* settled(call)
      assert.deepStrictEqual(yield* Fiber.join(call), done)
      assert.isTrue(isWithdrawn)
      assert.strictEqual(count("tasks/update"), 0)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("ends the call when it has asked more questions than a task may", () => {
    let asked = 0
    const many = Scripted.make({
      info: modern,
      answerInput: (_, { inputRequests }) => Effect.succeed(inputRequests),
      answer: ({ method }) =>
        Effect.sync(() => ({
          ...(method === "tools/call" ? { resultType: "task" } : {}),
          taskId: "t1",
          status: method === "tools/call" ? "working" : "input_required",
          inputRequests: Object.fromEntries(Array.from({ length: 100 }, () => [`q${asked++}`, {}]))
        }))
    })
    return Effect.gen(function*() {
      const call = yield* start(Effect.flip(sound((yield* get).callTool("long", {}, { task: {} }))))
      yield* settled(call)
      const { reason } = yield* Fiber.join(call)
      assert.strictEqual(reason._tag, "InvalidResult")
      assert.include(reason.message, "1000 questions")
    }).pipe(Effect.provide(Scripted.sessions(many)))
  })

  it.effect("leaves the outcome unknown when the server refuses to say it", () => {
    const refusal = new SessionError.ProtocolFailed({ method: "tasks/get", code: -32_601, description: "what?" })
    const { count, script } = modernTask([], { onGet: () => Effect.fail(refusal) })
    return Effect.gen(function*() {
      const call = yield* start(Effect.flip(sound((yield* get).callTool("long", {}, { task: {} }))))
      yield* settled(call)
      const { delivery, reason } = yield* Fiber.join(call)
      assert.deepStrictEqual([reason._tag, delivery], ["OutcomeUnknown", "Unknown"])
      assert.strictEqual(count("tools/call"), 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})

describe("a task of 2025-11-25", () => {
  it.effect("leaves the outcome unknown when the server does not know it any more", () => {
    const unknown = new SessionError.ProtocolFailed({ method: "tasks/get", code: -32_602, description: "no such task" })
    const { script } = working([{ status: "working" }], { onGet: () => Effect.fail(unknown) })
    return Effect.gen(function*() {
      const call = yield* start(Effect.flip(sound((yield* get).callTool("long", {}, { task: {} }))))
      yield* settled(call)
      assert.strictEqual((yield* Fiber.join(call)).reason._tag, "OutcomeUnknown")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails the call as answered when the server has cancelled it", () => {
    const { asked, script } = working([{ status: "cancelled" }])
    return Effect.gen(function*() {
      const { reason } = yield* Effect.flip(sound((yield* get).callTool("long", {}, { task: {} })))
      assert.deepInclude(reason, { _tag: "TaskCancelled", tool: "long", delivery: "Answered" })
      assert.strictEqual(asked.length, 1)
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })

  it.effect("fails with InvalidResult in an unknown state", () => {
    const { script } = working([{ status: "working" }, { status: "asleep" as never }])
    return Effect.gen(function*() {
      const call = yield* start(Effect.flip(sound((yield* get).callTool("long", {}, { task: {} }))))
      yield* settled(call)
      assert.strictEqual((yield* Fiber.join(call)).reason._tag, "InvalidResult")
    }).pipe(Effect.provide(Scripted.sessions(script)))
  })
})
