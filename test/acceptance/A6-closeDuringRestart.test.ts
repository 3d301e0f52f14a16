/**
 * A6, close races restart: at whatever step of a restart the sessions close, the close leaves no process or socket, and
 * none is started later.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type ServerConfig, type Session, type SessionError, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Context, Effect, Exit, Fiber, Layer, Queue, Schedule, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { descendants, fixture, makeLedger, until as untilLive } from "../fixtures/peer.ts"
import { read as readAll } from "../fixtures/read.ts"
import * as Http from "../fixtures/scriptedHttp.ts"

const until = <A>(read: () => A, holds: (value: A) => boolean) => TestClock.withLive(untilLive(read, holds))

const get = (name = "s") => Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get(name))

/** Retries every error after the delay. */
const persistent = (pause: "10 seconds" | "10 millis"): RetryPolicy.RetryPolicy =>
  Schedule.setInputType<SessionError.SessionError>()(Schedule.spaced(pause))

/** Sessions that the test closes itself. */
const open = Effect.fnUntraced(function*(
  servers: Readonly<Record<string, ServerConfig.ServerConfigInput>>,
  retry: RetryPolicy.RetryPolicy
) {
  const scope = yield* Scope.make()
  const sessions = yield* Layer.buildWithScope(
    Sessions.layer({ servers, retry, reconnect: retry }).pipe(Layer.provide(Transports.layer)),
    scope
  )
  return { sessions, scope, close: Scope.close(scope, Exit.void) }
})

/** A server with a child that ignores SIGTERM; `mood` sets the behaviour of its next start. */
const moody = Effect.map(makeLedger, ({ file, read }) => {
  const mood = (mood: string) => writeFileSync(`${file}.mode`, mood)
  mood("plain")
  const config = {
    transport: "stdio" as const,
    command: process.execPath,
    args: [fixture("faultyStdio.mjs"), "moody", file, "1", "family"],
    env: { LEDGER: file },
    healthInterval: 0,
    idleTimeToLive: 0
  }
  return { file, read, mood, config }
})

/** Kills the process of a session, and waits until the session reports the loss. */
const kill = Effect.fnUntraced(function*(session: Session.Session, phases: Queue.Dequeue<{ readonly _tag: string }>) {
  const { pid = 0 } = yield* session.connect
  process.kill(pid, "SIGKILL")
  yield* phaseOf(phases, "Idle")
})

const phaseOf = (phases: Queue.Dequeue<{ readonly _tag: string }>, tag: string): Effect.Effect<void> =>
  Effect.flatMap(Queue.take(phases), ({ _tag }) => _tag === tag ? Effect.void : phaseOf(phases, tag))

/** Closes from two unrelated fibers and once more, and checks each time that no process is left. */
const ends = Effect.fnUntraced(function*(close: Effect.Effect<void>, left: () => ReadonlyArray<string>) {
  const first = yield* Effect.forkDetach(close, { startImmediately: true })
  const second = yield* Effect.forkDetach(close, { startImmediately: true })
  yield* Fiber.join(first)
  assert.deepStrictEqual(left(), [])
  yield* Fiber.join(second)
  yield* close
  assert.deepStrictEqual(left(), [])
})

type Setting = Effect.Success<typeof moody>

/** The steps of a restart, and the way to reach each of them. */
const moments: ReadonlyArray<{
  readonly title: string
  readonly retry: RetryPolicy.RetryPolicy
  /** Runs before the server is killed. */
  readonly prepare: (setting: Setting) => void
  /** Runs after a call has started the reconnect. */
  readonly reach: (
    setting: Setting,
    phases: Queue.Dequeue<{ readonly _tag: string }>
  ) => Effect.Effect<unknown>
}> = [
  {
    title: "in its delay",
    retry: persistent("10 seconds"),
    prepare: ({ mood }) => mood("exit"),
    reach: (_, phases) => phaseOf(phases, "Backoff")
  },
  {
    title: "in the start of the process",
    retry: persistent("10 seconds"),
    prepare: ({ mood }) => mood("stubborn"),
    // The close follows in the turn that starts the process.
    reach: () => Effect.void
  },
  {
    title: "in the handshake",
    retry: persistent("10 seconds"),
    prepare: ({ mood }) => mood("mute"),
    reach: ({ read }) =>
      until(() => read("message").filter((method) => method === "initialize"), (messages) => messages.length === 2)
  },
  {
    title: "in the era probe",
    retry: persistent("10 millis"),
    // A failed start clears the remembered era.
    prepare: ({ mood }) => mood("exit"),
    reach: Effect.fnUntraced(function*({ mood, read }, phases) {
      yield* phaseOf(phases, "Backoff")
      mood("mute")
      const probes = () => read("message").filter((method) => method === "server/discover")
      yield* TestClock.adjust("10 millis")
      yield* until(probes, (messages) => messages.length === 2)
    })
  }
]

describe.concurrent("A6: close races restart", () => {
  for (const { prepare, reach, retry, title } of moments) {
    it.effect(`closing twice from other fibers during a restart ${title} leaves no process and starts none later`, () =>
      Effect.gen(function*() {
        const setting = yield* moody
        const { config, file, mood, read } = setting
        const { close, scope, sessions } = yield* open({ s: config }, retry)
        const session = yield* get().pipe(Effect.provideContext(sessions), Scope.provide(scope))
        const phases = yield* readAll(session.stateChanges)
        prepare(setting)
        yield* kill(session, phases)
        const call = yield* Effect.forkChild(Effect.flip(session.callTool("x")), { startImmediately: true })
        yield* reach(setting, phases)
        yield* ends(close, () => descendants(file))
        assert.strictEqual((yield* Fiber.join(call)).reason._tag, "SessionClosed")
        const processes = read("process").length
        mood("plain")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* Effect.flip(session.callTool("x"))).reason._tag, "SessionClosed")
        assert.strictEqual(read("process").length, processes)
        assert.deepStrictEqual(read("call"), [])
      }).pipe(Effect.scoped))
  }

  it.effect("closing ends a reconnect in the background that no caller waits for", () =>
    Effect.gen(function*() {
      const setting = yield* moody
      const { config, file, mood, read } = setting
      const { close, scope, sessions } = yield* open({ s: config }, persistent("10 seconds"))
      const { openAll } = Context.get(sessions, Sessions.Sessions)
      const opened = yield* readAll(Stream.provideService(openAll(), Scope.Scope, scope))
      const first = yield* TestClock.withLive(Queue.take(opened))
      if (first._tag !== "Usable") return assert.fail(first.error.message)
      const phases = yield* readAll(first.session.stateChanges)
      mood("exit")
      yield* kill(first.session, phases)
      yield* TestClock.adjust("1 second")
      yield* phaseOf(phases, "Backoff")
      yield* ends(close, () => descendants(file))
      const processes = read("process").length
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(read("process").length, processes)
    }).pipe(Effect.scoped))

  it.effect("closing one session leaves the sessions of other servers usable, in any order of closing", () =>
    Effect.gen(function*() {
      const settings = [yield* moody, yield* moody, yield* moody] as const
      const [a, b, c] = settings
      const { close, sessions } = yield* open(
        { a: a.config, b: b.config, c: c.config },
        persistent("10 seconds")
      )
      const taken = yield* Effect.forEach(["a", "b", "c"] as const, (name) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const session = yield* get(name).pipe(Effect.provideContext(sessions), Scope.provide(scope))
          return { session, close: Scope.close(scope, Exit.void) }
        }))
      const [first, second, third] = taken
      if (first === undefined || second === undefined || third === undefined) return assert.fail("there are three")
      b.mood("exit")
      const phases = yield* readAll(second.session.stateChanges)
      yield* kill(second.session, phases)
      const call = yield* Effect.forkChild(Effect.flip(second.session.callTool("x")), { startImmediately: true })
      yield* phaseOf(phases, "Backoff")

      // The server that was opened first closes first.
      yield* ends(first.close, () => descendants(a.file))
      assert.strictEqual(descendants(c.file).length, 2)
      yield* third.session.callTool("still here")
      // The closed session fails, and the other sessions keep waiting.
      assert.strictEqual((yield* Effect.flip(first.session.callTool("x"))).reason._tag, "SessionClosed")
      assert.isUndefined(call.pollUnsafe())
      yield* ends(close, () => settings.flatMap(({ file }) => descendants(file)))
      assert.strictEqual((yield* Fiber.join(call)).reason._tag, "SessionClosed")
      // A scope may close after its sessions.
      yield* Effect.all([third.close, second.close], { concurrency: "unbounded" })
      assert.deepStrictEqual(settings.map(({ read }) => read("call")), [[], [], ["still here"]])
    }).pipe(Effect.scoped))

  it.effect("closing an HTTP session during a reconnect leaves no socket, and ends the waiting call with SessionClosed", () =>
    Effect.gen(function*() {
      let isForgotten = false
      const server = yield* Http.start(({ message, response }) => {
        if (!isForgotten) return false
        if (message.method === "tools/call") {
          response.writeHead(404).end()
          return true
        }
        // The new session is never established.
        return message.method === "initialize"
      })
      const { close, scope, sessions } = yield* open(
        { s: { transport: "streamable_http", url: server.url, protocol: "legacy" } },
        RetryPolicy.never
      )
      const session = yield* get().pipe(Effect.provideContext(sessions), Scope.provide(scope))
      isForgotten = true
      const call = yield* Effect.forkChild(Effect.flip(session.callTool("x")), { startImmediately: true })
      yield* until(() => server.count("POST initialize"), (count) => count === 2)
      yield* ends(close, () => [])
      assert.strictEqual((yield* Fiber.join(call)).reason._tag, "SessionClosed")
      yield* until(server.sockets, (sockets) => sockets === 0)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(server.count("POST initialize"), 2)
    }).pipe(Effect.scoped))
})
