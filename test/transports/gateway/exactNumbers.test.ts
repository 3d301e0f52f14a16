/**
 * Numbers that JavaScript cannot hold, on their way between a client and a server.
 */
import { assert, describe, it } from "@effect/vitest"
import { ExactNumbers } from "@mcp-sessions/transports"
import { Effect, Option } from "effect"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const numbers = `{"id":9007199254740993,"deep":[{"amount":0.1234567890123456789,"huge":-1e400}],"plain":1.5}`

/** Written by the scripted server digit by digit. */
const raw = Option.getOrThrow(ExactNumbers.parse(numbers))

const tools = ["t", "refused"].map((name) => ({
  name,
  inputSchema: { type: "object", properties: { n: { default: raw } } }
}))

const results: Readonly<Record<string, object>> = {
  "tools/list": { tools },
  "resources/list": { resources: [{ name: "r", uri: "test://r" }] },
  "resources/templates/list": { resourceTemplates: [] },
  "prompts/list": { prompts: [{ name: "p" }] },
  "tools/call": { content: [], structuredContent: raw },
  "resources/read": { contents: [{ uri: "test://r", text: "", _meta: raw }] },
  "prompts/get": { messages: [], _meta: { "com.example/numbers": raw } }
}

const serverInfo = { name: "exact", version: "1" }

const declared = { tools: {}, resources: {}, prompts: {} }

/** A server of both eras, with the bodies of its calls. */
const startServer = Effect.gen(function*() {
  const calls: Array<string> = []
  const server = yield* Http.start(({ body, message: { id, method = "", params }, response }) => {
    const isModern = params?._meta !== undefined &&
      "io.modelcontextprotocol/protocolVersion" in (params._meta as object)
    if (method === "tools/call") calls.push(body)
    if (method === "initialize") {
      Http.json(response, Http.result(id, { protocolVersion: "2025-11-25", capabilities: declared, serverInfo }))
    } else if (method === "server/discover") {
      Http.json(
        response,
        Http.modernResult(id, { supportedVersions: ["2026-07-28"], capabilities: declared, serverInfo })
      )
    } else if (method === "tools/call" && params?.name === "refused") {
      Http.json(response, { jsonrpc: "2.0", id, error: { code: -1, message: "refused", data: raw } })
    } else if (results[method] !== undefined) {
      Http.json(response, (isModern ? Http.modernResult : Http.result)(id, results[method]))
    } else return false
    return true
  })
  return { calls, url: server.url }
})

const modernMeta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": serverInfo,
  "io.modelcontextprotocol/clientCapabilities": {}
}

const requests = [
  ["tools/list", {}],
  ["tools/call", { name: "t", arguments: {} }],
  ["resources/read", { uri: "test://r" }],
  ["prompts/get", { name: "p" }]
] as const

describe("numbers that JavaScript cannot hold", () => {
  it.live("reach the server in arguments digit by digit", () =>
    Effect.gen(function*() {
      const { calls, url: server } = yield* startServer
      const { url } = yield* startGateway({ only: { url: server, protocol: "legacy" } })
      const { session } = yield* post(url, initialize)
      const params = `{"name":"t","arguments":${numbers}}`
      yield* post(url, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`, { session })
      assert.include(calls.join(), numbers)
    }))

  for (const protocol of ["legacy", "2026-07-28"] as const) {
    it.live(`reach a client in results digit by digit, if both speak the ${protocol} protocol`, () =>
      Effect.gen(function*() {
        const server = yield* startServer
        const { url } = yield* startGateway({ only: { url: server.url, protocol } })
        const { session } = yield* post(url, initialize)
        for (const [method, params] of requests) {
          const sent = { jsonrpc: "2.0", id: 1, method }
          const { text } = protocol === "legacy"
            ? yield* post(url, { ...sent, params }, { session })
            : yield* post(url, { ...sent, params: { ...params, _meta: modernMeta } }, {
              headers: {
                "mcp-protocol-version": protocol,
                "mcp-method": method,
                "mcp-name": "uri" in params ? params.uri : "name" in params ? params.name : []
              }
            })
          assert.include(text, numbers, method)
        }
      }))
  }

  it.live("reach a client in the data of an error digit by digit", () =>
    Effect.gen(function*() {
      const server = yield* startServer
      const { url } = yield* startGateway({ only: { url: server.url, protocol: "legacy" } })
      const { session } = yield* post(url, initialize)
      const { text } = yield* post(url, call(1, "refused"), { session })
      assert.include(text, numbers)
    }))
})
