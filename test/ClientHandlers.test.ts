/**
 * Requests from a server to its client, in both eras.
 */
import { assert, describe, it } from "@effect/vitest"
import { ClientHandlers, type ServerConfig, Sessions, Telemetry, type Transport } from "@mcp-sessions/core"
import { Memory, Transports } from "@mcp-sessions/transports"
import { McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Deferred, Effect, Fiber, Layer, Queue, Stream } from "effect"
import { makeAsking, traced as tracedByServer } from "./fixtures/asking.ts"
import { serveAsking } from "./fixtures/askingHttp.ts"
import * as Spans from "./fixtures/spans.ts"

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
  describe(`client handlers, protocol ${protocol}`, () => {
    it.live("respond to a form elicitation", () =>
      Effect.gen(function*() {
        const { text } = yield* ask(protocol, {
          elicitation: {
            form: ({ message }) => Effect.succeed({ action: "accept", content: { name: `Ada, asked ${message}` } })
          }
        })
        assert.deepInclude(JSON.parse(text), { action: "accept", content: { name: "Ada, asked your name?" } })
      }))

    it.live("receive no request when they are not registered", () =>
      Effect.gen(function*() {
        const result = yield* Effect.result(ask(protocol, {}))
        const isRefused = result._tag === "Failure" || result.success.isError === true
        assert.isTrue(isRefused)
      }))
  })
}

const stdio = (protocol: "legacy" | "auto"): ServerConfig.ServerConfigInput => ({
  transport: "stdio",
  command: "none",
  args: [],
  protocol
})

const inMemory = Memory.layerTransports({ asking: serve })

/** Sessions of the asking server. */
const sessionsWith = (options: {
  readonly config: ServerConfig.ServerConfigInput
  readonly transports: Layer.Layer<Transport.Transports>
  readonly handlers: typeof ClientHandlers.ClientHandlers.Service
}) =>
  Sessions.layer({ servers: { asking: options.config } }).pipe(
    Layer.provide(Layer.merge(options.transports, Layer.succeed(ClientHandlers.ClientHandlers, options.handlers)))
  )

/** Responds to each form with the tool whose call caused the elicitation. */
const accept = (origin: ClientHandlers.Origin) =>
  Effect.succeed({ action: "accept" as const, content: { name: origin.call?.tool ?? "unknown" } })

const nameIn = ({ content: [block] }: { readonly content: ReadonlyArray<{ readonly type: string }> }): unknown =>
  JSON.parse((block as unknown as { readonly text: string }).text).content.name

describe("the origin of an elicitation", () => {
  const two = (options: Parameters<typeof sessionsWith>[0]) =>
    Effect.gen(function*() {
      const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("asking"))
      const calls = yield* Effect.all([session.callTool("ask"), session.callTool("ask-too")], {
        concurrency: "unbounded"
      })
      assert.strictEqual(yield* session.generation, 1)
      return calls.map(nameIn)
    }).pipe(Effect.scoped, Effect.provide(sessionsWith(options)))

  /** Responds only after both elicitations have arrived, to the later one first. */
  const crossed = Effect.map(Deferred.make<void>(), (both) => {
    const ids = new Set<string | number | undefined>()
    return {
      ids,
      form: (origin: ClientHandlers.Origin) =>
        Effect.suspend(() => {
          ids.add(origin.call?.id)
          return ids.size < 2
            ? Effect.andThen(Deferred.await(both), accept(origin))
            : Effect.andThen(Deferred.succeed(both, undefined), accept(origin))
        })
    }
  })

  for (const protocol of ["legacy", "auto"] as const) {
    it.live(`is the call on whose response stream it arrives, over HTTP with protocol ${protocol}`, () =>
      Effect.gen(function*() {
        const url = yield* serveAsking
        const { form, ids } = yield* crossed
        const names = yield* two({
          config: { transport: "streamable_http", url, protocol },
          transports: Transports.layer,
          handlers: { elicitation: { form: (_, origin) => form(origin) } }
        })
        assert.deepStrictEqual(names, ["ask", "ask-too"])
        assert.strictEqual(ids.size, 2)
      }).pipe(Effect.scoped))
  }

  it.live("is the call whose response requires input, in the modern era on one channel for all calls", () =>
    Effect.gen(function*() {
      const { form, ids } = yield* crossed
      const handlers = { elicitation: { form: (_: unknown, origin: ClientHandlers.Origin) => form(origin) } }
      assert.deepStrictEqual(yield* two({ config: stdio("auto"), transports: inMemory, handlers }), ["ask", "ask-too"])
      assert.strictEqual(ids.size, 2)
    }))

  it.live("is the only call in flight, in the legacy era on one channel for all calls", () =>
    Effect.gen(function*() {
      const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("asking"))
      assert.strictEqual(nameIn(yield* session.callTool("ask")), "ask")
      assert.strictEqual(nameIn(yield* session.callTool("ask-too")), "ask-too")
    }).pipe(
      Effect.scoped,
      Effect.provide(sessionsWith({
        config: stdio("legacy"),
        transports: inMemory,
        handlers: { elicitation: { form: (_, origin) => accept(origin) } }
      }))
    ))

  it.live("has no call while several legacy calls share one channel", () =>
    Effect.gen(function*() {
      const asked: Array<string | undefined> = []
      const both = yield* Deferred.make<void>()
      const form = (_: unknown, { call }: ClientHandlers.Origin) =>
        Effect.suspend(() => {
          asked.push(call?.tool)
          const answer = Effect.succeed({ action: "decline" as const })
          return asked.length < 2
            ? Effect.andThen(Deferred.await(both), answer)
            : Effect.as(Deferred.succeed(both, undefined), { action: "decline" as const })
        })
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("asking"))
        yield* Effect.all([session.callTool("ask"), session.callTool("ask-too")], { concurrency: "unbounded" })
      }).pipe(
        Effect.scoped,
        Effect.provide(
          sessionsWith({ config: stdio("legacy"), transports: inMemory, handlers: { elicitation: { form } } })
        )
      )
      assert.deepStrictEqual(asked, [undefined, undefined])
    }))

  it.live("names the owner and the server", () =>
    Effect.gen(function*() {
      const origins: Array<ClientHandlers.Peer> = []
      const form = (_: unknown, { owner, server }: ClientHandlers.Origin) =>
        Effect.sync(() => {
          origins.push({ owner, server })
          return { action: "decline" as const }
        })
      const layer = sessionsWith({ config: stdio("auto"), transports: inMemory, handlers: { elicitation: { form } } })
      yield* Effect.flatMap(
        Sessions.Sessions,
        ({ callTool }) => Effect.forEach(["ada", "bob"], (owner) => callTool("asking", "ask", {}, { owner }))
      ).pipe(Effect.provide(layer))
      assert.deepStrictEqual(origins, [{ owner: "ada", server: "asking" }, { owner: "bob", server: "asking" }])
    }))
})

describe("the span of a handler", () => {
  for (const protocol of ["legacy", "auto"] as const) {
    it.live(`is below the span that the server names, else below the request that it asks on behalf of, protocol ${protocol}`, () => {
      const { layer, spans, traced: withTracer } = Spans.make()
      const contexts: Array<Telemetry.TraceContext> = []
      const handlers = {
        elicitation: {
          form: (_: unknown, origin: ClientHandlers.Origin) =>
            Effect.flatMap(Telemetry.CurrentTraceContext, (context) => {
              contexts.push(context)
              return accept(origin)
            })
        }
      }
      return Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        yield* callTool("asking", "ask")
        yield* callTool("asking", "ask-traced")
        const [attempt, other] = spans.filter(({ name, parent }) =>
          name === "attempt" && parent._tag === "Some" && Reflect.get(parent.value, "name") !== "connect"
        )
        const handled = spans.filter(({ name }) => name === "elicitation/create")
        const parents = handled.map(({ parent }) => parent._tag === "Some" ? parent.value.spanId : undefined)
        assert.deepStrictEqual(parents, [attempt?.spanId, "00f067aa0ba902b7"])
        assert.deepStrictEqual(handled.map(({ kind, traceId }) => [kind, traceId]), [
          ["server", attempt?.traceId],
          ["server", "4bf92f3577b34da6a3ce929d0e0e4736"]
        ])
        assert.deepStrictEqual(handled.map(({ links }) => links.map(({ span }) => span.spanId)), [[], [other?.spanId]])
        const { baggage, tracestate } = tracedByServer
        assert.deepStrictEqual(contexts, [{ baggage: undefined, tracestate: undefined }, { baggage, tracestate }])
      }).pipe(
        withTracer,
        Effect.provide(
          sessionsWith({ config: stdio(protocol), transports: inMemory, handlers }).pipe(Layer.provide(layer))
        )
      )
    })
  }
})

describe("a handler", () => {
  for (const at of ["attribute", "end", "event", "span"] as const) {
    it.live(`answers the server, though the tracer throws in \`${at}\``, () => {
      const { layer, throws, traced } = Spans.throwing(at)
      const form = (_: unknown, origin: ClientHandlers.Origin) => Effect.andThen(Effect.log("asked"), accept(origin))
      return Effect.gen(function*() {
        const { callTool } = yield* Sessions.Sessions
        assert.isNotEmpty((yield* callTool("asking", "ask")).content)
        assert.isAbove(throws(), 0)
      }).pipe(
        traced,
        Effect.provide(
          sessionsWith({ config: stdio("legacy"), transports: inMemory, handlers: { elicitation: { form } } }).pipe(
            Layer.provide(layer)
          )
        )
      )
    })
  }
})

describe("the declared client capabilities", () => {
  it.live("match the handlers of the owner, not all handlers of the layer", () =>
    Effect.gen(function*() {
      const declared: Array<unknown> = []
      const serve: Memory.Serve = (peer) => {
        serveStdio(() => {
          const server = new McpServer({ name: "s", version: "1" }, { capabilities: { tools: {} } })
          server.registerTool("capabilities", {}, () => {
            declared.push(Object.keys(server.server.getClientCapabilities() ?? {}))
            return { content: [] }
          })
          return server
        }, { transport: peer })
      }
      const layer = sessionsWith({
        config: stdio("legacy"),
        transports: Memory.layerTransports({ asking: serve }),
        handlers: ({ owner, server }) =>
          owner === "ada" ? { elicitation: { form: () => Effect.succeed({ action: "decline" }) } } : {
            roots: () => Effect.succeed([{ uri: `file:///${server}` }])
          }
      })
      yield* Effect.flatMap(
        Sessions.Sessions,
        ({ callTool }) => Effect.forEach(["ada", "bob"], (owner) => callTool("asking", "capabilities", {}, { owner }))
      ).pipe(Effect.provide(layer))
      assert.deepStrictEqual(declared, [["elicitation"], ["roots"]])
    }))
})

describe("client handlers", () => {
  it.live("are interrupted with the call that caused the request, and not earlier", () =>
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

  it.live("notify legacy servers of changed roots", () =>
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
        roots: () => Effect.succeed([{ uri: "file:///here" }]),
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

  it.live("are interrupted when the connection closes", () =>
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

  it.live("send the description of a RequestRefused to the server", () =>
    Effect.gen(function*() {
      const result = yield* Effect.result(ask("legacy", {
        elicitation: { form: () => Effect.fail(new ClientHandlers.RequestRefused({ description: "not now" })) }
      }))
      assert.include(JSON.stringify(result), "not now")
    }))

  it.live("send an error with code, message and data verbatim to the server", () =>
    Effect.gen(function*() {
      const received = yield* Queue.unbounded<unknown>()
      const serve: Memory.Serve = (peer) => {
        serveStdio(() => {
          const server = new McpServer({ name: "s", version: "1" }, { capabilities: { tools: {} } })
          server.registerTool("ask", {}, async ({ mcpReq }) => {
            await mcpReq.elicitInput({ message: "go on?", requestedSchema: { type: "object", properties: {} } }).catch(
              ({ code, data, message }: { code: unknown; data: unknown; message: string }) =>
                Queue.offerUnsafe(received, { code, data, message })
            )
            return { content: [] }
          })
          return server
        }, { transport: peer })
      }
      const failures = [
        Effect.fail(new ClientHandlers.RequestRefused({ description: "not now", code: 42, data: { until: "noon" } })),
        Effect.fail(new ClientHandlers.RequestRefused({ description: "no" })),
        Effect.die(new Error("the password is swordfish"))
      ]
      for (const failure of failures) {
        yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool("asking", "ask")).pipe(
          Effect.provide(sessionsWith({
            config: stdio("legacy"),
            transports: Memory.layerTransports({ asking: serve }),
            handlers: { elicitation: { form: () => failure } }
          }))
        )
      }
      assert.deepStrictEqual(yield* Queue.takeN(received, 3), [
        { code: 42, data: { until: "noon" }, message: "not now" },
        { code: -1, data: undefined, message: "no" },
        { code: -32603, data: undefined, message: "the handler of the client failed" }
      ])
    }))

  it.live("are interrupted with the only call in flight, and send an error to the server at once", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const answered = yield* Queue.unbounded<unknown>()
      const serve: Memory.Serve = (peer) => {
        serveStdio(() => {
          const server = new McpServer({ name: "s", version: "1" }, { capabilities: { tools: {} } })
          server.registerTool("hang", {}, () => {
            // The request is unrelated to the call, which a client with one channel for all calls cannot detect.
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
