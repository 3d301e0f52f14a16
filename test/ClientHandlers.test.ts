/**
 * What a server asks of its client, in both eras.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, Sessions } from "@mcp-sessions/core"
import { Memory } from "@mcp-sessions/transports"
import { McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Deferred, Effect, Fiber, Layer, Queue, Stream } from "effect"
import { makeAsking } from "./fixtures/asking.ts"

const serve: Memory.Serve = (peer) => {
  serveStdio(makeAsking, { transport: peer })
}

const ask = (protocol: "legacy" | "auto", handlers: ClientHandlers.Handlers) =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("asking", "ask")).pipe(
    Effect.map(({ content: [block], isError }) => ({ isError, text: block?.type === "text" ? block.text : "" })),
    Effect.provide(
      Sessions.layer({ servers: { asking: { transport: "stdio", command: "none", args: [], protocol } } }).pipe(
        Layer.provide(
          Layer.merge(Memory.layerTransports({ asking: serve }), Layer.succeed(ClientHandlers.ClientHandlers, handlers))
        )
      )
    )
  )

for (const protocol of ["legacy", "auto"] as const) {
  describe(`handlers, protocol ${protocol}`, () => {
    it.live("answer a form", () =>
      Effect.gen(function*() {
        const { text } = yield* ask(protocol, {
          elicitation: {
            form: ({ message }) => Effect.succeed({ action: "accept", content: { name: `Ada, asked ${message}` } })
          }
        })
        assert.deepInclude(JSON.parse(text), { action: "accept", content: { name: "Ada, asked your name?" } })
      }))

    it.live("that are not there are not asked", () =>
      Effect.gen(function*() {
        const result = yield* Effect.result(ask(protocol, {}))
        const isRefused = result._tag === "Failure" || result.success.isError === true
        assert.isTrue(isRefused)
      }))
  })
}

describe("handlers", () => {
  it.live("are interrupted when the call is that the server asks for, and no sooner", () =>
    Effect.gen(function*() {
      const asked = yield* Queue.unbounded<Deferred.Deferred<void>>()
      const form = () =>
        Effect.gen(function*() {
          const interrupted = yield* Deferred.make<void>()
          yield* Queue.offer(asked, interrupted)
          return yield* Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        })
      const handlers = Layer.succeed(ClientHandlers.ClientHandlers, { elicitation: { form } })
      const layer = Sessions.layer({
        servers: {
          legacy: { transport: "stdio", command: "none", args: [], protocol: "legacy" },
          modern: { transport: "stdio", command: "none", args: [] }
        }
      }).pipe(Layer.provide(Layer.merge(Memory.layerTransports({ legacy: serve, modern: serve }), handlers)))
      yield* Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        for (const server of ["legacy", "modern"]) {
          const session = yield* sessions.get(server)
          const call = yield* Effect.forkChild(session.callTool("ask"), { startImmediately: true })
          const first = yield* Queue.take(asked)
          const other = yield* Effect.forkChild(session.callTool("ask"), { startImmediately: true })
          const second = yield* Queue.take(asked)
          yield* Fiber.interrupt(call)
          yield* Deferred.await(first)
          assert.isFalse(Deferred.isDoneUnsafe(second))
          yield* Fiber.interrupt(other)
          yield* Deferred.await(second)
          assert.strictEqual(yield* session.generation, 1)
        }
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))

  it.live("tell legacy servers that the roots have changed", () =>
    Effect.gen(function*() {
      const changes = yield* Queue.unbounded<void>()
      const told = yield* Queue.unbounded<unknown>()
      const serve: Memory.Serve = (peer) => {
        serveStdio(() => {
          const server = new McpServer({ name: "rooted", version: "1" }, { capabilities: { tools: {} } })
          server.server.setNotificationHandler("notifications/roots/list_changed", async () => {
            Queue.offerUnsafe(told, [
              server.server.getClientCapabilities()?.roots,
              (await server.server.listRoots()).roots
            ])
          })
          return server
        }, { transport: peer })
      }
      const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
        roots: Effect.succeed([{ uri: "file:///here" }]),
        rootsChanges: Stream.fromQueue(changes)
      })
      const layer = Sessions.layer({
        servers: { s: { transport: "stdio", command: "none", args: [], protocol: "legacy" } }
      }).pipe(Layer.provide(Layer.merge(Memory.layerTransports({ s: serve }), handlers)))
      yield* Effect.gen(function*() {
        yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
        yield* Queue.offer(changes, undefined)
        assert.deepStrictEqual(yield* Queue.take(told), [{ listChanged: true }, [{ uri: "file:///here" }]])
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))

  it.live("end with the connection", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(ask("legacy", {
        elicitation: {
          form: () =>
            Effect.andThen(Deferred.succeed(asked, undefined), Effect.never).pipe(
              Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
            )
        }
      }))
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(interrupted)
    }))

  it.live("that refuse are heard", () =>
    Effect.gen(function*() {
      const result = yield* Effect.result(ask("legacy", {
        elicitation: { form: () => Effect.fail(new ClientHandlers.RequestRefused({ description: "not now" })) }
      }))
      assert.include(JSON.stringify(result), "not now")
    }))

  it.live("are interrupted with the one call under way, whoever asks, and the server is told so at once", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const answered = yield* Queue.unbounded<unknown>()
      const serve: Memory.Serve = (peer) => {
        serveStdio(() => {
          const server = new McpServer({ name: "s", version: "1" }, { capabilities: { tools: {} } })
          server.registerTool("hang", {}, () => {
            // On its own account: over one stream for all nobody can tell.
            server.server.elicitInput({ message: "go on?", requestedSchema: { type: "object", properties: {} } }).then(
              (result) => Queue.offerUnsafe(answered, result),
              (error: unknown) => Queue.offerUnsafe(answered, String(error))
            )
            return new Promise(() => {})
          })
          return server
        }, { transport: peer })
      }
      const form = () => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never)
      const layer = Sessions.layer({
        servers: { s: { transport: "stdio", command: "none", args: [], protocol: "legacy" } }
      }).pipe(
        Layer.provide(
          Layer.merge(
            Memory.layerTransports({ s: serve }),
            Layer.succeed(ClientHandlers.ClientHandlers, { elicitation: { form } })
          )
        )
      )
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
        const call = yield* Effect.forkChild(session.callTool("hang"), { startImmediately: true })
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(call)
        assert.include(yield* Queue.take(answered), "cancelled")
        yield* session.ping
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))
})
