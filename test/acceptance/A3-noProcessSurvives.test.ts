/**
 * A3, no process survives: a wrapper, its server, and a child of the server that ignores SIGTERM. However the session ends,
 * no process is left after five seconds, the sum of all steps.
 */
import { assert, describe, it } from "@effect/vitest"
import { McpSessions, RetryPolicy, type ServerConfig, Sessions, Transport } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Cause, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { descendants, fixture, makeLedger, until } from "../fixtures/peer.ts"

/** A server behind a wrapper, as `npx` starts it. All of its processes have the ledger in their environment. */
const wrapped = (mode: string, file: string) => {
  const words = [process.execPath, fixture("faultyStdio.mjs"), mode, file, "family"].map((word) => `"${word}"`)
  return {
    transport: "stdio" as const,
    command: "sh",
    args: ["-c", `${words.join(" ")}; true`],
    env: { LEDGER: file }
  }
}

const layerOf = (servers: Readonly<Record<string, ServerConfig.ServerConfigInput>>) =>
  Sessions.layer({ servers, retry: RetryPolicy.never }).pipe(Layer.provide(Transports.layer))

const get = (name = "s") => Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get(name))

/** Sessions that the test closes itself. */
const open = Effect.fnUntraced(function*(config: ServerConfig.ServerConfigInput) {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(layerOf({ s: config }), scope)
  yield* get().pipe(Effect.provideContext(context), Scope.provide(scope))
  return { close: Scope.close(scope, Exit.void) }
})

/** Runs a closing effect, and checks that no process is left at the moment when it returns. */
const ends = <A, E, R>(file: string, ending: Effect.Effect<A, E, R>) =>
  Effect.map(ending, (value) => {
    assert.deepStrictEqual(descendants(file), [])
    return value
  })

describe.concurrent("A3: no process survives", () => {
  for (const [letter, title, mode] of [["a", "polite", "plain"], ["b", "stubborn", "stubborn"]] as const) {
    it.live(`the close of a ${title} server and its descendants (${letter})`, () =>
      Effect.gen(function*() {
        const { file } = yield* makeLedger
        const { close } = yield* open(wrapped(mode, file))
        assert.strictEqual(descendants(file).length, 3)
        yield* ends(file, close)
      }).pipe(Effect.scoped))
  }

  it.live("an interrupted connect (c)", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const layer = layerOf({ s: { ...wrapped("mute", file), protocol: "legacy" } })
      const connecting = yield* Effect.forkChild(Effect.scoped(get()).pipe(Effect.provide(layer)))
      yield* until(() => read("message"), (messages) => messages.length > 0)
      assert.strictEqual(descendants(file).length, 3)
      yield* ends(file, Fiber.interrupt(connecting))
    }).pipe(Effect.scoped))

  it.live("the exit of a first process that rejected the era probe and left its child (d)", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      const { close } = yield* open(wrapped("strict", file))
      assert.strictEqual(read("process").length, 4)
      // Only the wrapper, the server and the child of the second start are alive.
      assert.strictEqual(descendants(file).length, 3)
      yield* ends(file, close)
    }).pipe(Effect.scoped))

  it.live("two concurrent closes, one of them interrupted (e)", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const { close } = yield* open(wrapped("stubborn", file))
      const first = yield* Effect.forkChild(close, { startImmediately: true })
      const second = yield* Effect.forkChild(close, { startImmediately: true })
      yield* ends(file, Effect.andThen(Fiber.interrupt(first), Fiber.join(second)))
      yield* ends(file, close)
    }).pipe(Effect.scoped))

  it.live("two concurrent closes of the promise facade (e)", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const sessions = McpSessions.make({ transports: Transports.layer, servers: { s: wrapped("stubborn", file) } })
      yield* Effect.promise(() => sessions.get("s"))
      const dispose = Effect.promise(() => sessions[Symbol.asyncDispose]())
      yield* Effect.all([ends(file, dispose), ends(file, dispose)], { concurrency: "unbounded" })
      yield* ends(file, dispose)
    }).pipe(Effect.scoped))

  it.live("a close with failing finalizers, which reports each of them", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const complaining = Layer.effect(
        Transport.Transports,
        Effect.map(Transport.Transports, ({ transport }) => ({
          transport: (definition: ServerConfig.ServerDefinition) =>
            Layer.effect(
              Transport.Transport,
              Effect.map(Transport.Transport, ({ connect }) => ({
                connect: Effect.andThen(
                  Effect.addFinalizer(() =>
                    definition.name === "good" ? Effect.void : Effect.die(`${definition.name} complains`)
                  ),
                  connect
                )
              }))
            ).pipe(Layer.provide(transport(definition)))
        }))
      ).pipe(Layer.provide(Transports.layer))
      const server = wrapped("plain", file)
      const layer = Sessions.layer({ servers: { first: server, good: server, second: server } }).pipe(
        Layer.provide(complaining)
      )
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer, scope)
      yield* Effect.forEach(["first", "good", "second"], get, { concurrency: "unbounded" }).pipe(
        Effect.provideContext(context),
        Scope.provide(scope)
      )
      const exit = yield* ends(file, Effect.exit(Scope.close(scope, Exit.void)))
      const told = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      for (const name of ["first", "second"]) assert.include(told, `${name} complains`)
    }).pipe(Effect.scoped))
})
