/**
 * The headers of 2026-07-28, by table, and held against those that the SDK's client sends.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { Effect, Schema } from "effect"
import { afterAll, beforeAll, vi } from "vitest"
import { encodeHeader, paramHeadersOf } from "../../../packages/transports/src/internal/modern/paramHeaders.ts"
import { appendRequestHeaders } from "../../../packages/transports/src/internal/modern/requestHeaders.ts"
import { metaKeys } from "../../../packages/transports/src/internal/modern/requestMeta.ts"
import { ToolHeaders } from "../../../packages/transports/src/internal/modern/toolHeaders.ts"

const meta = { [metaKeys.protocolVersion]: "2026-07-28" }

const toolsOf = (inputSchema: unknown): ToolHeaders => {
  const tools = new ToolHeaders()
  tools.learn({ page: { tools: [{ name: "t", inputSchema }] }, isFirst: true })
  return tools
}

const headersOf = (method: string, params: Record<string, unknown>, tools = new ToolHeaders()) => {
  const to: Array<string> = []
  appendRequestHeaders({ to, message: { method, params }, tools })
  const pairs = Array.from({ length: to.length / 2 }, (_, n) => [to[2 * n], to[2 * n + 1]])
  return Object.fromEntries(pairs) as Record<string, string>
}

const mirrored = (header: unknown, type: unknown = "string") => ({ type, "x-mcp-header": header })
const object = (properties: object, further: object = {}) => ({ type: "object", properties, ...further })

describe("the standard headers of a request", () => {
  for (
    const [method, params, name] of [
      ["tools/call", { name: "search" }, "search"],
      ["prompts/get", { name: "greeting" }, "greeting"],
      ["resources/read", { uri: "file:///a b" }, "file:///a b"],
      ["tasks/get", { taskId: "t-1" }, "t-1"],
      ["tasks/cancel", { taskId: "t-2" }, "t-2"],
      ["tools/list", { name: "search" }, undefined],
      ["tools/call", { name: 7 }, undefined],
      ["constructor", { name: "search" }, undefined],
      ["tools/call", { name: "grüezi" }, "=?base64?Z3LDvGV6aQ==?="]
    ] as const
  ) {
    it(`name ${JSON.stringify(params)} of ${method} as ${name}`, () => {
      assert.deepStrictEqual(headersOf(method, { ...params, _meta: meta }), {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        ...(name === undefined ? {} : { "mcp-name": name })
      })
    })
  }

  it("repeat the revision that the caller wrote into the metadata", () => {
    const headers = headersOf("tools/list", { _meta: { [metaKeys.protocolVersion]: "2027-01-01" } })
    assert.strictEqual(headers["mcp-protocol-version"], "2027-01-01")
  })

  it("are absent from requests of the legacy era", () => {
    assert.deepStrictEqual(headersOf("tools/call", { name: "search" }), {})
    assert.deepStrictEqual(headersOf("tools/call", { name: "search", _meta: { progressToken: 1 } }), {})
  })
})

describe("the headers that a tool declares", () => {
  for (
    const [what, args, header] of [
      ["a string", { a: "x" }, "x"],
      ["an empty string", { a: "" }, "=?base64??="],
      ["a boolean", { a: false }, "false"],
      ["an integer", { a: -7 }, "-7"],
      ["a fraction", { a: 1.5 }, "1.5"],
      ["null", { a: null }, undefined],
      ["an absent argument", {}, undefined],
      ["an array", { a: ["x"] }, undefined],
      ["an object", { a: { b: "x" } }, undefined],
      ["an unsafe integer", { a: 2 ** 53 }, undefined],
      ["a number that is not finite", { a: Number.NaN }, undefined],
      ["text with a line break", { a: "x\r\nhost: evil" }, "=?base64?eA0KaG9zdDogZXZpbA==?="],
      ["text that looks encoded", { a: "=?base64?eA==?=" }, "=?base64?PT9iYXNlNjQ/ZUE9PT89?="],
      ["arguments that are no object", "x", undefined]
    ] as const
  ) {
    it(`carry ${what} as ${header}`, () => {
      const headers = headersOf(
        "tools/call",
        { name: "t", arguments: args, _meta: meta },
        toolsOf(object({ a: mirrored("A") }))
      )
      assert.strictEqual(headers["mcp-param-a"], header)
    })
  }

  it("reach nested properties", () => {
    const tools = toolsOf(object({ a: object({ b: mirrored("Deep") }) }))
    const headers = headersOf("tools/call", { name: "t", arguments: { a: { b: "x" } }, _meta: meta }, tools)
    assert.strictEqual(headers["mcp-param-deep"], "x")
  })

  it("are not sent for a tool that was not listed", () => {
    const headers = headersOf(
      "tools/call",
      { name: "other", arguments: { a: "x" }, _meta: meta },
      toolsOf(object({ a: mirrored("A") }))
    )
    assert.notProperty(headers, "mcp-param-a")
  })

  for (
    const [fault, schema] of [
      ["no valid name", object({ a: mirrored("A\r\nhost: evil") })],
      ["no valid name", object({ a: mirrored("") })],
      ["no valid name", object({ a: mirrored(7) })],
      ["no string, integer or boolean", object({ a: mirrored("A", "number") })],
      ["no string, integer or boolean", object({ a: mirrored("A", ["string"]) })],
      ["another property declares", object({ a: mirrored("A"), b: mirrored("a") })],
      ["only plain properties may", mirrored("A")],
      ["only plain properties may", object({}, { $defs: { a: mirrored("A") } })],
      ["only plain properties may", object({ a: { type: "array", items: mirrored("A") } })],
      ["only plain properties may", object({}, { anyOf: [object({ a: mirrored("A") })] })]
    ] as const
  ) {
    it(`exclude a tool whose declaration is forbidden: ${JSON.stringify(schema)}`, () => {
      const tools = new ToolHeaders()
      const page = { tools: [{ name: "good", inputSchema: object({}) }, { name: "bad", inputSchema: schema }] }
      assert.deepStrictEqual(tools.learn({ page, isFirst: true }), { tools: [page.tools[0]] })
      const [warning] = tools.warnings()
      assert.include(warning, `"bad"`)
      assert.include(warning, fault)
    })
  }

  it("are forgotten when the tools are listed anew, not with their next page", () => {
    const tools = toolsOf(object({ a: mirrored("A") }))
    tools.learn({ page: { tools: [] }, isFirst: false })
    assert.isDefined(tools.of("t"))
    tools.learn({ page: { tools: [] }, isFirst: true })
    assert.isUndefined(tools.of("t"))
  })

  it("exclude a schema that is too deep to look through", () => {
    let schema: object = {}
    for (let depth = 0; depth < 5000; depth++) schema = object({ a: schema })
    assert.strictEqual(paramHeadersOf(schema)._tag, "Failure")
  })

  it.prop("encode any text so that a proxy reads what was written", [Schema.String], ([text]) => {
    const header = encodeHeader(text)
    assert.match(header, /^[\x20-\x7e\t]*$/)
    assert.strictEqual(header, header.trim())
    const encoded = /^=\?base64\?(.*)\?=$/.exec(header)?.[1]
    assert.strictEqual(
      encoded === undefined ? header : Buffer.from(encoded, "base64").toString(),
      Buffer.from(text).toString()
    )
  }, { arbitrary: { seed: 1 } })
})

/** The headers that the SDK's client sends with a call of a tool with this schema; `undefined` if it leaves out the tool. */
const headersOfSdk = async (inputSchema: unknown, args: Record<string, unknown>) => {
  let headers: Record<string, string> | undefined
  let isListed = false
  const answers: Record<string, object> = {
    "server/discover": {
      supportedVersions: ["2026-07-28"],
      capabilities: { tools: {} },
      serverInfo: { name: "s", version: "1" }
    },
    "tools/list": { tools: [{ name: "t", inputSchema }] },
    "tools/call": { content: [] }
  }
  const transport = new StreamableHTTPClientTransport(new URL("http://server/"), {
    fetch: (_, init) => {
      const message = JSON.parse(String(init?.body))
      if (message.method === "tools/call") headers = Object.fromEntries(new Headers(init?.headers))
      const result = { resultType: "complete", ttlMs: 0, cacheScope: "private", ...answers[message.method] }
      return Promise.resolve(Response.json({ jsonrpc: "2.0", id: message.id, result }))
    }
  })
  const client = new Client({ name: "c", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } })
  await client.connect(transport)
  isListed = (await client.listTools()).tools.length > 0
  if (isListed) await client.callTool({ name: "t", arguments: args })
  await client.close()
  const ours = Object.entries(headers ?? {}).filter(([name]) => name.startsWith("mcp-"))
  return isListed ? Object.fromEntries(ours) : undefined
}

describe("the headers of a tool call", () => {
  beforeAll(() => {
    // The SDK reports the tools that it leaves out on stderr.
    vi.spyOn(console, "warn").mockReturnValue()
  })
  afterAll(() => {
    vi.restoreAllMocks()
  })

  const optional = Schema.optionalKey
  const leaf = Schema.Struct({
    type: optional(Schema.Literals(["string", "integer", "boolean", "number", "object"])),
    "x-mcp-header": optional(Schema.Literals(["A", "a", "B", "C-d", "", "x y", 7]))
  })
  const tidyLeaf = (name: string) =>
    Schema.Struct({
      type: Schema.Literals(["string", "integer", "boolean"]),
      "x-mcp-header": Schema.Literal(name)
    })
  const objectOf = <S extends Schema.Constraint>(node: S) =>
    Schema.Struct({
      type: Schema.Literal("object"),
      properties: Schema.Struct({ a: optional(node), b: optional(node), c: optional(node) }),
      $defs: optional(Schema.Struct({ a: leaf })),
      anyOf: optional(Schema.Tuple([leaf])),
      items: optional(leaf)
    })
  const tidy = Schema.Struct({
    type: Schema.Literal("object"),
    properties: Schema.Struct({
      a: optional(tidyLeaf("A")),
      b: optional(Schema.Struct({
        type: Schema.Literal("object"),
        properties: Schema.Struct({ a: optional(tidyLeaf("B")), c: optional(tidyLeaf("E")) })
      })),
      c: optional(tidyLeaf("C-d"))
    })
  })
  const inputSchema = Schema.Union([objectOf(Schema.Union([leaf, objectOf(leaf)])), tidy, tidy])
  const value = Schema.Union([
    Schema.String,
    Schema.Boolean,
    Schema.Int,
    Schema.Finite,
    Schema.Null,
    Schema.Array(Schema.String),
    Schema.Literals([2 ** 53, " x", "x\t", "=?base64?x?=", "é", "a\tb"])
  ])
  const argument = Schema.Union([value, Schema.Struct({ a: optional(value), c: optional(value) })])
  const args = Schema.Struct({ a: optional(argument), b: optional(argument), c: optional(argument) })

  it.effect.prop(
    "are those that the SDK's client sends, and the tools left out are the same",
    [inputSchema, args],
    ([inputSchema, args]) =>
      Effect.map(Effect.promise(() => headersOfSdk(inputSchema, args)), (theirs) => {
        const tools = toolsOf(inputSchema)
        const isExcluded = tools.warnings().length > 0
        assert.strictEqual(isExcluded, theirs === undefined, JSON.stringify(inputSchema))
        if (theirs === undefined) return
        const ours = headersOf("tools/call", { name: "t", arguments: args, _meta: meta }, tools)
        assert.deepStrictEqual(ours, theirs)
      }),
    { arbitrary: { runs: 300, seed: 20_260_728 }, timeout: 60_000 }
  )
})
