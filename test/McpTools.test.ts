/**
 * Typed calls and tools for models in promises, and the tools of other frameworks without these frameworks: `pnpm frameworks` runs them with
 * the frameworks themselves.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { AiSdk, LangChain, McpSessions, OpenAiAgents } from "@mcp-sessions/transports"
import { Effect, Schema } from "effect"
import { openTools as open, tool, toolServer } from "./fixtures/toolServer.ts"

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

const lost = new SessionError.TransportFailed({ description: "reset", code: "ECONNRESET", delivery: "Unknown" })

describe("typed calls in promises", () => {
  const Weather = Schema.toStandardSchemaV1(Schema.Struct({ temperature: Schema.Finite }))

  it("give the value that a Standard Schema validates", async () => {
    const servers = { weather: toolServer("get") }
    servers.weather.server.answer = () => Effect.succeed({ content: [], structuredContent: { temperature: 3 } })
    await using sessions = open(servers)
    const { temperature } = await sessions.callTool("weather", "get", {}, { schema: Weather })
    assert.strictEqual(temperature, 3)
    await using session = await sessions.get("weather")
    assert.deepStrictEqual(await session.callTool("get", undefined, { schema: Weather, timeout: 1000 }), {
      temperature: 3
    })
    assert.deepStrictEqual((await session.callTool("get")).structuredContent, { temperature: 3 })
    await using pool = await sessions.pool({ server: "weather" })
    assert.deepStrictEqual(await pool.callTool("get", {}, { schema: Weather }), { temperature: 3 })
    assert.deepStrictEqual((await pool.callTool("get")).structuredContent, { temperature: 3 })
  })

  it("take a Standard Schema that is an object of a class", async () => {
    const servers = { weather: toolServer("get") }
    await using sessions = open(servers)
    class Constant {
      readonly version = 1
      readonly vendor = "test"
      readonly #value = 7
      validate() {
        return { value: this.#value }
      }
    }
    assert.strictEqual(await sessions.callTool("weather", "get", {}, { schema: { "~standard": new Constant() } }), 7)
  })

  it("reject as answered where the schema throws, rejects, or gives nothing", async () => {
    const servers = { weather: toolServer("get") }
    await using sessions = open(servers)
    const bug = () => new Error("a bug of the schema")
    const validates: ReadonlyArray<() => unknown> = [
      () => {
        throw bug()
      },
      () => Promise.reject(bug()),
      () => undefined,
      () => ({ issues: "many" }),
      () => ({ issues: [{ path: 3 }] })
    ]
    for (const validate of validates) {
      const schema = { "~standard": { version: 1, vendor: "test", validate } }
      const error = await rejection(sessions.callTool("weather", "get", {}, { schema: schema as never }))
      assert(McpSessions.isSessionError(error))
      assert.deepStrictEqual([error.reason._tag, error.delivery], ["InvalidResult", "Answered"])
    }
    assert.strictEqual(servers.weather.ran.length, validates.length)
  })

  it("reject a result that does not fit, a tool error, and a value that is not a schema", async () => {
    const servers = { weather: toolServer("get") }
    const { ran, server } = servers.weather
    await using sessions = open(servers)
    const fail = async (result: object) => {
      server.answer = () => Effect.succeed(result)
      const error = await rejection(sessions.callTool("weather", "get", {}, { schema: Weather }))
      assert(McpSessions.isSessionError(error))
      return [error.reason._tag, error.delivery, error.message]
    }
    assert.deepStrictEqual(await fail({ structuredContent: { temperature: "secret" } }), [
      "InvalidResult",
      "Answered",
      "weather: the structured result of \"get\" does not fit the schema of the caller at \"temperature\""
    ])
    assert.deepStrictEqual(await fail({ isError: true, content: [{ type: "text", text: "no city" }] }), [
      "ToolFailed",
      "Answered",
      "weather: no city"
    ])
    const before = ran.length
    const error = await rejection(sessions.callTool("weather", "get", {}, { schema: { type: "object" } as never }))
    assert.isTrue(McpSessions.isConfigError(error))
    assert.strictEqual(ran.length, before)
  })
})

describe("tools of servers in promises", () => {
  it("are listed, called, followed and pinned", async () => {
    const servers = { files: toolServer("read", "write") }
    await using sessions = open(servers)
    const tools = await sessions.tools({ exclude: ["files/write"] })
    assert.deepStrictEqual(tools.list().map(({ name }) => name), ["files_read"])
    assert.strictEqual(McpSessions.text(await tools.call({ name: "files_read" })), "read ran")
    assert.deepStrictEqual(Object.keys(tools.pins()), ["files_read"])

    const changes = tools.changes()[Symbol.asyncIterator]()
    const next = changes.next()
    servers.files.change([tool("read", "other")])
    const { value } = await next
    assert.strictEqual(value?._tag, "Held")
    const error = await rejection(tools.call({ name: "files_read" }))
    assert(McpSessions.isToolError(error))
    assert.strictEqual(error.reason._tag, "DefinitionNotAccepted")
    assert.deepStrictEqual(tools.held().map(({ name }) => name), ["files_read"])
    await tools.accept("files_read")
    await tools.refresh()
    assert.strictEqual(tools.list()[0]?.definition.description, "other")
    await changes.return?.()
  })

  it("run async interceptors and approvals", async () => {
    const servers = { files: toolServer("read", "write") }
    const order: Array<string> = []
    await using sessions = open(servers)
    const tools = await sessions.tools({
      approve: async ({ tool }) => tool === "read",
      needsApproval: async ({ args }) => args.risky === true,
      interceptors: [
        async ({ args, name }, next) => {
          order.push(`before ${name}`)
          const result = await next({ ...args, traced: true })
          order.push(`after ${name}`)
          return result
        },
        async (call, next) => {
          if (call.args.text !== "secret") return next(call.args)
          const reason = new McpSessions.CallDenied({ description: "it is secret" })
          throw new McpSessions.ToolError({ tool: call.name, reason })
        }
      ]
    })
    await tools.call({ name: "files_read" })
    const reasons = await Promise.all(
      [{ name: "files_write" }, { name: "files_read", args: { text: "secret" } }].map(async (call) => {
        const error = await rejection(tools.call(call))
        assert(McpSessions.isToolError(error))
        return error.message
      })
    )
    assert.deepStrictEqual(reasons, ["files_write: the call was not approved", "files_read: it is secret"])
    assert.deepStrictEqual(order.slice(0, 2), ["before files_read", "after files_read"])
    assert.deepStrictEqual(servers.files.ran, ["read"])
    assert.isTrue(await tools.needsApproval({ name: "files_read", args: { risky: true } }))
    assert.isFalse(await tools.needsApproval({ name: "files_read" }))
    assert.isTrue(McpSessions.isConfigError(await rejection(sessions.tools({ interceptors: [1 as never] }))))
  })

  it("call once where an interceptor runs `next` twice, and do not say that the tool did not run", async () => {
    for (const both of ["all", "race"] as const) {
      const servers = { shop: toolServer("charge") }
      servers.shop.server.answer = () => Effect.as(Effect.promise(() => Promise.resolve()), { content: [] })
      await using sessions = open(servers)
      const tools = await sessions.tools({
        interceptors: [({ args }, next) =>
          both === "race"
            ? Promise.race([next(args), next(args)])
            : Promise.all([next(args), next(args)]).then(([one]) => one)]
      })
      const error = await rejection(tools.call({ name: "shop_charge" }))
      assert(McpSessions.isToolError(error))
      assert.strictEqual(error.reason._tag, "NextRepeated")
      assert.include(["Answered", "Unknown"], error.delivery)
      assert.deepStrictEqual(servers.shop.ran, ["charge"])
    }
  })

  it("reject calls once they are closed", async () => {
    const servers = { files: toolServer("read") }
    await using sessions = open(servers)
    const tools = await sessions.tools()
    await tools.close()
    const error = await rejection(tools.call({ name: "files_read" }))
    assert(McpSessions.isToolError(error) && error.reason._tag === "CallFailed")
    assert(McpSessions.isSessionError(error.reason.error))
    assert.strictEqual(error.reason.error.reason._tag, "SessionClosed")
    const refreshed = await rejection(tools.refresh())
    assert(McpSessions.isSessionError(refreshed))
    assert.deepStrictEqual(servers.files.ran, [])
  })

  it("end with an aborted signal, and with the sessions", async () => {
    const servers = { files: toolServer("read") }
    servers.files.server.answer = () => Effect.never
    const sessions = open(servers)
    const tools = await sessions.tools()
    const controller = new AbortController()
    const aborted = rejection(tools.call({ name: "files_read", signal: controller.signal }))
    const left = rejection(tools.call({ name: "files_read" }))
    while (servers.files.ran.length < 2) await Promise.resolve()
    controller.abort()
    const error = await aborted
    assert(McpSessions.isSessionError(error))
    assert.deepStrictEqual([error.reason._tag, error.delivery], ["Cancelled", "Unknown"])
    await sessions.close()
    const closed = await left
    assert(McpSessions.isSessionError(closed) || McpSessions.isToolError(closed))
    assert.strictEqual(closed.delivery, "Unknown")
    assert.strictEqual(servers.files.script.open, 0)
  })
})

describe("tools of other frameworks", () => {
  const content = [{ type: "text", text: "chart" }, { type: "image", data: "AA==", mimeType: "image/png" }]

  const withTools = async (
    use: (tools: McpSessions.McpTools) => Promise<void>,
    options: McpSessions.ToolsOptions = {}
  ) => {
    const servers = { shop: toolServer("show", "charge", "fail") }
    servers.shop.server.answer = (name) =>
      name === "show"
        ? Effect.succeed({ content })
        : name === "charge"
        ? Effect.fail(lost)
        : Effect.succeed({ isError: true, content: [{ type: "text", text: "no shop" }] })
    await using sessions = open(servers)
    await use(await sessions.tools(options))
    assert.strictEqual(servers.shop.ran.filter((name) => name === "charge").length <= 1, true)
  }

  it("take results and failures of calls to the AI SDK", () =>
    withTools(async (tools) => {
      const set = AiSdk.toolSet({ tools, jsonSchema: (schema: object) => ({ schema }) })
      const { shop_charge, shop_fail, shop_show } = set
      assert(shop_charge !== undefined && shop_fail !== undefined && shop_show !== undefined)
      assert.deepStrictEqual(shop_show.inputSchema, { schema: tool("show").inputSchema })
      const options = { toolCallId: "1" }
      const output = await shop_show.execute({}, options)
      assert.deepStrictEqual(shop_show.toModelOutput({ output }), {
        type: "content",
        value: [
          { type: "text", text: "chart" },
          { type: "file", data: { type: "data", data: "AA==" }, mediaType: "image/png" }
        ]
      })
      const error = await rejection(shop_charge.execute({}, options))
      assert(error instanceof Error && McpSessions.isToolError(error.cause))
      assert.match(error.message, /the tool may have run/)
      assert.strictEqual(error.cause.delivery, "Unknown")
      assert.propertyVal(await rejection(shop_fail.execute({}, options)), "message", "no shop")
      assert.isTrue(await shop_show.needsApproval({ ask: true }, options))
    }, { needsApproval: ({ args }) => args.ask === true }))

  it("take results and failures of calls to LangChain", () =>
    withTools(async (tools) => {
      class DynamicStructuredTool {
        readonly fields: LangChain.ToolFields
        constructor(fields: LangChain.ToolFields) {
          this.fields = fields
        }
      }
      const [show, charge, fail] = LangChain.tools({ tools, DynamicStructuredTool })
      assert(show !== undefined && charge !== undefined && fail !== undefined)
      assert.deepStrictEqual(show.fields.metadata, { server: "shop", tool: "show" })
      const [shown, artifact] = await show.fields.func({})
      assert.deepStrictEqual(shown, [
        { type: "text", text: "chart" },
        { type: "image", source_type: "base64", mime_type: "image/png", data: "AA==" }
      ])
      assert.deepStrictEqual(artifact, { content } as never)
      const [said, error] = await charge.fields.func({})
      assert.match(String(said), /the tool may have run/)
      assert.isTrue(McpSessions.isToolError(error))
      assert.strictEqual((await fail.fields.func({}))[0], "no shop")
      assert.match(
        String((await show.fields.func({ ask: true }))[0]),
        /needs the approval of a person\. The tool did not run/
      )
      const [, , failing] = LangChain.tools({ tools, DynamicStructuredTool, failureMode: "error" })
      assert.propertyVal(await rejection(failing?.fields.func({}) ?? Promise.resolve()), "message", "no shop")
    }, { needsApproval: ({ args }) => args.ask === true }))

  it("take results and failures of calls to the OpenAI Agents SDK", () =>
    withTools(async (tools) => {
      const [show, charge, fail] = OpenAiAgents.tools({ tools })
      assert(show !== undefined && charge !== undefined && fail !== undefined)
      assert.deepStrictEqual(await show.invoke({}, "{}"), [
        { type: "text", text: "chart" },
        { type: "image", image: { data: "AA==", mediaType: "image/png" } }
      ])
      assert.match(String(await charge.invoke({}, "")), /the tool may have run/)
      assert.strictEqual(await fail.invoke({}, "{}"), "no shop")
      assert.match(String(await show.invoke({}, "{\"text\":")), /must be a JSON object\. The tool did not run/)
      assert.isTrue(await show.needsApproval({}, { ask: true }, "1"))
      const [, , failing] = OpenAiAgents.tools({ tools, failureMode: "error" })
      assert.propertyVal(await rejection(failing?.invoke({}, "{}") ?? Promise.resolve()), "message", "no shop")
    }, { needsApproval: ({ args }) => args.ask === true }))
})
