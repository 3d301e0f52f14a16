/**
 * The toolkit for `effect/ai`, with a scripted model.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Mcp, SessionError, Sessions, Toolkit } from "@mcp-sessions/core"
import { Deferred, Effect, Fiber, Layer, Ref, Stream } from "effect"
import { Chat, LanguageModel, Prompt, type Response, Tool } from "effect/ai"
import { TestClock } from "effect/testing"
import { tool, toolServer, toolServers } from "../fixtures/toolServer.ts"

const usage = { inputTokens: {}, outputTokens: {} }

const call = (id: string, name: string, params: unknown = {}) => ({ type: "tool-call" as const, id, name, params })

type Answer = (options: LanguageModel.ProviderOptions) => ReadonlyArray<ReturnType<typeof call>>

/** A model that makes the calls of `answer`, and says "done" if there are none. It records what it was given. */
const model = (answer: Answer) => {
  const seen: Array<LanguageModel.ProviderOptions> = []
  const calls = (options: LanguageModel.ProviderOptions) => {
    seen.push(options)
    return answer(options)
  }
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: (options) =>
        Effect.sync(() => {
          const made = calls(options)
          return made.length === 0
            ? [{ type: "text" as const, text: "done" }, { type: "finish" as const, reason: "stop" as const, usage }]
            : [...made, { type: "finish" as const, reason: "tool-calls" as const, usage }]
        }),
      streamText: (options) =>
        Stream.fromIterable<Response.StreamPartEncoded>([
          ...calls(options),
          { type: "finish" as const, reason: "tool-calls" as const, usage }
        ])
    })
  )
  return { seen, layer }
}

const toolPartsOf = ({ content }: Prompt.Prompt) =>
  content.flatMap((message) => message.role === "tool" ? message.content : []).flatMap((part) =>
    part.type === "tool-result" ? [part] : []
  )

const lost = new SessionError.TransportFailed({ description: "reset", code: "ECONNRESET", delivery: "Unknown" })

describe("a toolkit", () => {
  it.effect("gives the model names, descriptions and JSON Schemas as servers list them", () => {
    const servers = { files: toolServer() }
    servers.files.server.tools = [{
      ...tool("read"),
      annotations: { title: "Read", readOnlyHint: true, destructiveHint: false }
    }]
    const { layer, seen } = model(() => [])
    return Effect.gen(function*() {
      const toolkit = yield* Toolkit.make()
      yield* LanguageModel.generateText({ prompt: "hi", toolkit })
      const [given] = seen[0]?.tools ?? []
      assert(given !== undefined)
      assert.strictEqual(given.name, "files_read")
      assert.strictEqual(given.description, "does read")
      assert.deepStrictEqual(Tool.getJsonSchema(given), tool("read").inputSchema)
      assert.isFalse(Tool.getStrictMode(given))
      const { annotations } = given
      assert.deepStrictEqual(
        [Tool.Readonly, Tool.Destructive, Tool.Idempotent].map((key) => annotations.mapUnsafe.get(key.key)),
        [true, false, false]
      )
    }).pipe(Effect.provide(Layer.merge(toolServers(servers), layer)))
  })

  it.effect("keeps text, images and resources of a result for the model and the program", () => {
    const servers = { files: toolServer("read") }
    const content: Mcp.CallToolResult["content"] = [
      { type: "text", text: "the chart" },
      { type: "image", data: "iVBORw0KGgo=", mimeType: "image/png" },
      { type: "resource", resource: { uri: "file:///a.pdf", blob: "JVBE", mimeType: "application/pdf" } },
      { type: "resource_link", uri: "file:///b", name: "b" }
    ]
    servers.files.server.answer = () => Effect.succeed({ content, structuredContent: { n: 1 } })
    const { layer } = model(() => [call("1", "files_read")])
    return Effect.gen(function*() {
      const { toolResults: [result] } = yield* LanguageModel.generateText({
        prompt: "hi",
        toolkit: yield* Toolkit.make()
      })
      assert(result !== undefined && !result.isFailure)
      assert.deepStrictEqual(result.result, { content, structuredContent: { n: 1 } })
      assert.deepStrictEqual(
        result.modelOutput?.map((part) =>
          part.type === "text" ? part.text : [part.mediaType, part.fileName, part.data]
        ),
        [
          "the chart",
          ["image/png", undefined, "iVBORw0KGgo="],
          ["application/pdf", "file:///a.pdf", "JVBE"],
          "b\nfile:///b"
        ]
      )
      for (const [output, expected] of [["text", "the chart"], ["structured", "{\"n\":1}"]] as const) {
        const toolkit = yield* Toolkit.make({ output })
        const { toolResults: [result] } = yield* LanguageModel.generateText({ prompt: "hi", toolkit })
        assert.deepStrictEqual(result?.modelOutput?.map((part) => part.type === "text" && part.text), [expected])
      }
    }).pipe(Effect.provide(Layer.merge(toolServers(servers), layer)))
  })

  it.effect("makes a failed call a result that the model can read, also where it may have run", () => {
    const servers = { shop: toolServer("charge", "list") }
    servers.shop.server.answer = (name) =>
      name === "charge"
        ? Effect.fail(lost)
        : Effect.succeed({ isError: true, content: [{ type: "text", text: "no shop" }] })
    const { layer } = model(() => [call("1", "shop_charge"), call("2", "shop_list")])
    return Effect.gen(function*() {
      const toolkit = yield* Toolkit.make()
      const { toolResults } = yield* LanguageModel.generateText({ prompt: "hi", toolkit })
      const byId = new Map(toolResults.map((result) => [result.id, result]))
      const charge = byId.get("1")?.encodedResult as { readonly error: string; readonly delivery: string }
      assert.strictEqual(charge.delivery, "Unknown")
      assert.match(charge.error, /the tool may have run/)
      assert.deepStrictEqual(byId.get("2")?.encodedResult, { error: "no shop", delivery: "Answered" })
      assert.isTrue(toolResults.every(({ isFailure }) => isFailure))
      assert.deepStrictEqual(servers.shop.ran.toSorted(), ["charge", "list"])
    }).pipe(Effect.provide(Layer.merge(toolServers(servers), layer)))
  })

  it.effect("fails the generation with the typed error in the mode error", () => {
    const servers = { shop: toolServer("charge") }
    servers.shop.server.answer = () => Effect.fail(lost)
    const { layer } = model(() => [call("1", "shop_charge")])
    return Effect.gen(function*() {
      const toolkit = yield* Toolkit.make({ failureMode: "error" })
      const error = yield* Effect.flip(LanguageModel.generateText({ prompt: "hi", toolkit }))
      assert(error._tag === "ToolError" && error.reason._tag === "CallFailed")
      assert.strictEqual(error.delivery, "Unknown")
    }).pipe(Effect.provide(Layer.merge(toolServers(servers), layer)))
  })

  it.effect("asks a person through the approval requests of effect/ai", () => {
    const servers = { files: toolServer("read", "write") }
    const { layer } = model(({ prompt }) =>
      toolPartsOf(prompt).length > 0 ? [] : [call("1", "files_write", { text: "x" }), call("2", "files_read")]
    )
    return Effect.gen(function*() {
      const toolkit = yield* Toolkit.make({ needsApproval: ({ args, tool }) => tool === "write" && args.text === "x" })
      const chat = yield* Chat.empty
      const { content } = yield* chat.generateText({ prompt: "hi", toolkit })
      const requests = content.flatMap((part) => part.type === "tool-approval-request" ? [part] : [])
      assert.deepStrictEqual(requests.map(({ toolCallId }) => toolCallId), ["1"])
      assert.deepStrictEqual(servers.files.ran, ["read"])
      const approval = Prompt.toolApprovalResponsePart({ approvalId: requests[0]?.approvalId ?? "", approved: true })
      const { text } = yield* chat.generateText({
        prompt: Prompt.fromMessages([Prompt.toolMessage({ content: [approval] })]),
        toolkit
      })
      assert.strictEqual(text, "done")
      assert.deepStrictEqual(servers.files.ran, ["read", "write"])
    }).pipe(Effect.provide(Layer.merge(toolServers(servers), layer)))
  })

  it.effect("gives each turn the tools of the moment", () => {
    const servers = { files: toolServer("read") }
    const { layer, seen } = model(() => [])
    return Effect.gen(function*() {
      const toolkit = yield* Toolkit.make()
      const first = yield* toolkit
      assert.strictEqual(yield* toolkit, first)
      const added = yield* toolkit.catalog.changes.pipe(Stream.runHead, Effect.forkChild({ startImmediately: true }))
      servers.files.change([tool("read"), tool("write")])
      yield* Fiber.join(added)
      yield* LanguageModel.generateText({ prompt: "hi", toolkit })
      assert.deepStrictEqual(seen[0]?.tools.map(({ name }) => name), ["files_read", "files_write"])
    }).pipe(Effect.provide(Layer.merge(toolServers(servers), layer)))
  })

  it.effect("works with streamText, and with names that every object has", () => {
    const servers = { a: toolServer("__proto__", "constructor") }
    const { layer } = model(() => [call("1", "__proto__"), call("2", "constructor")])
    return Effect.gen(function*() {
      const toolkit = yield* Toolkit.make({ name: ({ tool }) => tool })
      const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "hi", toolkit }))
      const results = parts.flatMap((part) => part.type === "tool-result" ? [part.id] : [])
      assert.deepStrictEqual(results.toSorted(), ["1", "2"])
      assert.deepStrictEqual(servers.a.ran.toSorted(), ["__proto__", "constructor"])
    }).pipe(Effect.provide(Layer.merge(toolServers(servers), layer)))
  })
})

describe("an agent over three servers", () => {
  it.effect("finishes though one of them dies in a call, and no call runs twice", () => {
    const servers = { files: toolServer("read"), shop: toolServer("charge"), search: toolServer("find") }
    const { script, server } = servers.shop
    const started = Deferred.makeUnsafe<void>()
    server.answer = () => Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
    const plan = [["files_read"], ["shop_charge"], ["shop_charge", "search_find"], ["files_read"]]
    const { layer, seen } = model(({ prompt }) => {
      const turn = prompt.content.filter(({ role }) => role === "assistant").length
      return (plan[turn] ?? []).map((name, index) => call(`${turn}-${index}`, name))
    })
    return Effect.gen(function*() {
      const toolkit = yield* Toolkit.make()
      const chat = yield* Chat.fromPrompt("charge the customer")
      const agent = Effect.gen(function*() {
        for (;;) {
          const { text, toolCalls } = yield* chat.generateText({ prompt: [], toolkit })
          if (toolCalls.length === 0) return text
        }
      })
      const running = yield* Effect.forkChild(agent, { startImmediately: true })
      yield* Deferred.await(started)
      server.connect = Effect.fail(new SessionError.SpawnFailed({ command: "shop", code: "ENOENT" }))
      yield* script.lose(new SessionError.TransportClosed({ delivery: "Unknown" }))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(running), "done")
      assert.deepStrictEqual(servers.shop.ran, ["charge"])
      assert.deepStrictEqual(servers.files.ran, ["read", "read"])
      assert.deepStrictEqual(servers.search.ran, ["find"])
      const results = toolPartsOf(yield* Ref.get(chat.history))
      const failures = results.filter(({ isFailure }) => isFailure).map(({ id, result }) => [
        id,
        (result as { readonly delivery: string }).delivery
      ])
      assert.deepStrictEqual(failures, [["1-0", "Unknown"], ["2-0", "NotSent"]])
      // The tools of the dead server stay: its calls say that it is down.
      assert.isTrue(seen.every(({ tools }) => tools.length === 3))
    }).pipe(Effect.provide(Layer.merge(toolServers(servers), layer)))
  })
})

describe("the types of a toolkit", () => {
  it.effect("give programs the results and errors of its tools", () => {
    const { layer } = model(() => [])
    return Effect.gen(function*() {
      const returned = LanguageModel.generateText({ prompt: "hi", toolkit: yield* Toolkit.make() })
      const { toolResults } = yield* returned
      const results: ReadonlyArray<Mcp.CallToolResult> = toolResults.flatMap((one) => one.isFailure ? [] : [one.result])
      assert.deepStrictEqual(results, [])
      assert.isDefined(yield* Sessions.Sessions)
    }).pipe(Effect.provide(Layer.merge(toolServers({ files: toolServer("read") }), layer)))
  })
})
