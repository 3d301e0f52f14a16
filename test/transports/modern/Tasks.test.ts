/**
 * Tool calls that servers of 2026-07-28 run as tasks, over every transport.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  ClientHandlers,
  Connection,
  type Mcp,
  RetryPolicy,
  type Session,
  Sessions,
  type Transport
} from "@mcp-sessions/core"
import { Recorded } from "@mcp-sessions/transports"
import { Effect, Fiber, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { jsonOf, kindsOf, ledgerOf, use } from "../../fixtures/modernKinds.ts"
import { question } from "../../fixtures/modernPeer.ts"
import { makeTaskPeer, type TaskScript } from "../../fixtures/modernTasks.ts"
import { sound } from "../../fixtures/soundOptions.ts"

const kinds = kindsOf({ make: makeTaskPeer, program: ["tasks"] })

const done = { content: [{ type: "text" as const, text: "done" }] }
const completed = { status: "completed", result: { resultType: "complete", ...done } }

const call = (session: Session.Session, script: TaskScript, onTask?: (task: Mcp.Task) => void, tool = "task") =>
  sound(session.callTool(tool, { ...script }, { task: { onTask } }))

const reasonOf = (session: Session.Session, script: TaskScript) =>
  Effect.map(Effect.flip(call(session, script)), ({ reason }) => reason)

interface Stored {
  readonly runs: number
  readonly tasks: Readonly<Record<string, { readonly answers: unknown; readonly answered: unknown }>>
}

const storeOf = (session: Session.Session) =>
  Effect.map(session.callTool("store"), (result) => jsonOf(result) as Stored)

const answering = (asked: Array<ClientHandlers.Origin>, answer = Effect.void): ClientHandlers.Handlers => ({
  elicitation: {
    form: (_, origin) =>
      Effect.suspend(() => {
        asked.push(origin)
        return Effect.as(answer, { action: "accept" as const, content: { name: "Ada" } })
      })
  }
})

const accepted = { action: "accept", content: { name: "Ada" } }

for (const kind of kinds) {
  describe.concurrent(`a task of 2026-07-28 over ${kind.name}`, () => {
    it.live("is polled until it completes, and its statuses are reported in the shape of both eras", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const seen: Array<Mcp.Task> = []
          const working = { status: "working", statusMessage: "half" }
          const result = yield* call(session, { statuses: [working, working, completed] }, (task) => seen.push(task))
          assert.deepStrictEqual(result, done)
          assert.deepStrictEqual(seen.map(({ status, statusMessage }) => [status, statusMessage]), [
            ["working", undefined],
            ["working", "half"],
            ["completed", undefined]
          ])
          assert.deepStrictEqual(seen[0], {
            taskId: "task 1",
            status: "working",
            createdAt: "2026-11-30T00:00:00Z",
            lastUpdatedAt: "2026-11-30T00:00:01Z",
            ttl: 60_000,
            pollInterval: 1
          })
          const ledger = yield* ledgerOf(session)
          assert.strictEqual(ledger.filter((what) => what === "tools/call task").length, 1)
          assert.strictEqual(ledger.filter((what) => what === "tasks/get task 1").length, 3)
          const named = ledger.filter((what) => what === "tasks/get named task 1")
          assert.strictEqual(named.length, kind.name.startsWith("HTTP") ? 3 : 0)
        })))

    it.live("is not made of a call that the server answers with its result", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const result = yield* session.callTool("direct", {}, { task: {} })
          assert.deepStrictEqual(jsonOf(result), { declared: true })
          assert.isTrue(Connection.offersTasks(yield* session.connect))
        })))

    it.live("breaks the protocol if the call has not declared that it knows tasks", () =>
      use(
        kind,
        (session) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(jsonOf(yield* session.callTool("direct")), { declared: false })
            const { reason } = yield* Effect.flip(session.callTool("task", { statuses: [completed] }))
            assert.deepInclude(reason, { _tag: "InvalidResult", delivery: "Answered" })
            assert.strictEqual((yield* storeOf(session)).runs, 1)
          }),
        {},
        RetryPolicy.spaced({ retries: 3, delay: 1 })
      ))

    it.live("asks each question once, and gets all answers of a status in one update", () => {
      const asked: Array<ClientHandlers.Origin> = []
      return use(kind, (session) =>
        Effect.gen(function*() {
          const ids: Array<unknown> = []
          const statuses = [
            { status: "input_required", inputRequests: { who: question, "__proto__x": question } },
            { status: "input_required", inputRequests: { who: question, more: question } },
            completed
          ]
          const options = { task: {}, onSent: (id: unknown) => void ids.push(id) }
          assert.deepStrictEqual(yield* session.callTool("task", { statuses }, options), done)
          const { tasks } = yield* storeOf(session)
          assert.deepStrictEqual(tasks["task 1"]?.answers, { who: accepted, "__proto__x": accepted, more: accepted })
          assert.deepStrictEqual(tasks["task 1"]?.answered, { who: 1, "__proto__x": 1, more: 1 })
          assert.deepStrictEqual(asked.map(({ key }) => key), ["who", "__proto__x", "more"])
          assert.deepStrictEqual(asked[0]?.call, { id: ids[0], method: "tools/call", tool: "task" } as never)
          assert.strictEqual(ids.length, 1)
        }), answering(asked))
    })

    it.live("may begin after a round of questions that the call itself asks", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* call(session, { statuses: [completed] }, undefined, "ask and task"), done)
          assert.strictEqual((yield* storeOf(session)).runs, 1)
        }), answering([])))

    it.live("is cancelled when it asks what the client cannot answer", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const statuses = [{ status: "input_required", inputRequests: { who: question } }]
          const reason = yield* reasonOf(session, { statuses })
          assert.deepInclude(reason, { _tag: "InvalidResult", delivery: "Answered" })
          assert.include(yield* ledgerOf(session), "tasks/cancel task 1")
        })))

    it.live("ends the call as unknown, and is cancelled, when a handler refuses", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const statuses = [{ status: "input_required", inputRequests: { who: question } }]
          const reason = yield* reasonOf(session, { statuses })
          assert.deepInclude(reason, { _tag: "OutcomeUnknown", tool: "task" })
          assert.include(yield* ledgerOf(session), "tasks/cancel task 1")
        }), {
        elicitation: { form: () => Effect.fail(new ClientHandlers.RequestRefused({ description: "no" })) }
      }))

    it.live("fails the call with the JSON-RPC error that it has failed with", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const error = { code: -32_601, message: "no such page", data: { page: 7 } }
          const reason = yield* reasonOf(session, { statuses: [{ status: "failed", error }] })
          assert.deepInclude(reason, {
            _tag: "ProtocolFailed",
            code: -32_601,
            description: "no such page",
            delivery: "Answered"
          })
          assert(reason._tag === "ProtocolFailed")
          assert.deepStrictEqual(reason.data, { page: 7 })
        })))

    it.live("fails the call as answered when the server has cancelled it", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(session, {
            handle: { status: "cancelled" },
            statuses: [{ status: "cancelled" }]
          })
          assert.deepInclude(reason, { _tag: "TaskCancelled", tool: "task", delivery: "Answered" })
          assert.notInclude(yield* ledgerOf(session), "tasks/cancel task 1")
        })))

    it.live("is cancelled on the server when the call is interrupted", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(call(session, { statuses: [{ status: "working" }] }), {
            startImmediately: true
          })
          yield* Effect.repeat(ledgerOf(session), { until: (ledger) => ledger.includes("tasks/get task 1") })
          yield* Fiber.interrupt(fiber)
          assert.include(yield* ledgerOf(session), "tasks/cancel task 1")
        })))

    for (
      const [what, script] of [
        ["whose handle has no id", { handle: { taskId: 7 }, statuses: [] }],
        ["whose handle has an endless id", { handle: { taskId: "x".repeat(5000) }, statuses: [] }],
        ["in an unknown state", { statuses: [{ status: "asleep" }] }],
        ["that turns into another task", { statuses: [{ status: "working", taskId: "task 9" }] }],
        ["that completes without a result", { statuses: [{ status: "completed" }] }],
        ["that completes with another task", { statuses: [{ status: "completed", result: { resultType: "task" } }] }],
        ["that completes with no tool result", { statuses: [{ status: "completed", result: { content: 7 } }] }],
        ["that fails without an error", { statuses: [{ status: "failed" }] }],
        ["that requires input, and does not say which", { statuses: [{ status: "input_required" }] }],
        ["with a malformed question", { statuses: [{ status: "input_required", inputRequests: { who: 7 } }] }],
        ["with too many questions", {
          statuses: [{
            status: "input_required",
            inputRequests: Object.fromEntries(Array.from({ length: 101 }, (_, key) => [`q${key}`, question]))
          }]
        }],
        ["with an endless key", {
          statuses: [{ status: "input_required", inputRequests: { ["k".repeat(2000)]: question } }]
        }]
      ] as const
    ) {
      it.live(`fails with InvalidResult for a task ${what}`, () =>
        use(kind, (session) =>
          Effect.gen(function*() {
            const reason = yield* reasonOf(session, script)
            assert.deepInclude(reason, { _tag: "InvalidResult", delivery: "Answered" })
            assert.strictEqual((yield* storeOf(session)).runs, 1)
          }), answering([])))
    }

    it.live("fails the call with an error of code 0 when its own is only text", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(session, { statuses: [{ status: "failed", error: "broken" }] })
          assert.deepInclude(reason, { _tag: "ProtocolFailed", code: 0, delivery: "Answered" })
        })))
  })
}

const inFolder = <A, E>(use: (file: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tasks-"))),
    (folder) => use(join(folder, "tasks.json")),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

describe("the outcome of a task", () => {
  const kind = kinds.find(({ name }) => name === "memory")
  assert(kind !== undefined)

  it.live("is held against the output schema that the server lists", () =>
    use(kind, (session) =>
      Effect.gen(function*() {
        yield* session.listTools()
        const ending = (structuredContent: object) => ({
          statuses: [{ status: "completed", result: { ...done, structuredContent } }]
        })
        const result = yield* call(session, ending({ count: 1 }))
        assert.deepStrictEqual(result.structuredContent, { count: 1 })
        const reason = yield* reasonOf(session, ending({ count: "one" }))
        assert.deepInclude(reason, { _tag: "InvalidResult", delivery: "Answered" })
        assert.include(reason.message, "output schema")
      })))

  it.live("shows no secret of the definition in its error", () =>
    Effect.gen(function*() {
      const running = yield* kind.start
      const secret = "correct horse battery"
      const layer = Sessions.layer({
        servers: { s: { transport: "stdio", command: "s", env: { KEY: secret }, protocol: "2026-07-28" } }
      }).pipe(Layer.provide(running.transports))
      const error = { code: 1, message: `no access with ${secret}`, data: [secret] }
      const reason = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")).pipe(
        Effect.flatMap((session) => reasonOf(session, { statuses: [{ status: "failed", error }] })),
        Effect.scoped,
        Effect.provide(layer)
      )
      assert(reason._tag === "ProtocolFailed")
      assert.include(reason.description, "no access with")
      assert.notInclude(JSON.stringify([reason.description, reason.data]), secret)
    }).pipe(Effect.scoped))

  it.live("is replayed from a recording, with what the task asked", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const running = yield* kind.start
        const asked: Array<ClientHandlers.Origin> = []
        const statuses = [{ status: "input_required", inputRequests: { who: question } }, completed]
        const run = (transports: Layer.Layer<Transport.Transports, Recorded.RecordingError>) =>
          Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "task", { statuses }, { task: {} })).pipe(
            Effect.provide(
              Sessions.layer({ servers: { s: { transport: "stdio", command: "s", protocol: "2026-07-28" } } }).pipe(
                Layer.provide(Layer.merge(
                  transports,
                  Layer.succeed(ClientHandlers.ClientHandlers, answering(asked))
                ))
              )
            )
          )
        assert.deepStrictEqual(yield* run(Recorded.recordWith({ file, transports: running.transports })), done)
        assert.deepStrictEqual(yield* run(Recorded.replay(file)), done)
        assert.strictEqual(asked.length, 2)
      }).pipe(Effect.scoped)
    ))
})

describe("a task of a server that restarts", () => {
  const stdioOf = (file: string) => {
    const kind = kindsOf({ make: makeTaskPeer, program: ["tasks", file] }).find(({ name }) => name === "stdio")
    assert(kind !== undefined)
    return kind
  }
  const retry = RetryPolicy.spaced({ retries: 3, delay: 1 })

  it.live("is followed to its result on the next connection when the server keeps its tasks", () =>
    inFolder((file) =>
      use(
        stdioOf(file),
        (session) =>
          Effect.gen(function*() {
            const script = { statuses: [{ status: "working" }, { status: "working" }, completed], exitAt: 2 }
            assert.deepStrictEqual(yield* call(session, script), done)
            assert.strictEqual(yield* session.generation, 2)
            assert.strictEqual((yield* storeOf(session)).runs, 1)
          }),
        {},
        retry
      )
    ))

  it.live("ends the call as unknown when the server has lost its tasks, and does not run the tool again", () =>
    inFolder((file) =>
      use(
        stdioOf(file),
        (session) =>
          Effect.gen(function*() {
            const script = { statuses: [{ status: "working" }], exitAt: 2, isForgetful: true }
            const error = yield* Effect.flip(call(session, script))
            assert.deepInclude(error.reason, { _tag: "OutcomeUnknown", tool: "task" })
            assert.include(error.message, "no such task")
            assert.isFalse(error.isRetryable)
            assert.strictEqual((yield* storeOf(session)).runs, 1)
          }),
        {},
        retry
      )
    ))
})

describe("a server of 2026-07-28 that runs no tasks", () => {
  const kind = kindsOf({ make: () => makeTaskPeer({ isOffered: false }), program: ["tasks"] })[0]

  it.live("gets an ordinary call, which declares nothing", () => {
    assert(kind !== undefined)
    return use(kind, (session) =>
      Effect.gen(function*() {
        const result = yield* session.callTool("direct", {}, { task: { ttl: 1000 } })
        assert.deepStrictEqual(jsonOf(result), { declared: false })
        assert.isFalse(Connection.offersTasks(yield* session.connect))
      }))
  })
})
