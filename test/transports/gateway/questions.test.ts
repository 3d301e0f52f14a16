/**
 * Questions of servers to the clients of a gateway.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client as ClientV2, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema
} from "@modelcontextprotocol/sdk/types.js"
import { Effect, Queue } from "effect"
import { serveAsking } from "../../fixtures/askingHttp.ts"
import { call, connectV1, initialize, post, startGateway, streamOf, textOf } from "../../fixtures/gateway.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const everything = { command: "mcp-server-everything", args: ["stdio"] }

/** A client that answers every form with a name. */
const connectAs = (url: string, name: string) =>
  connectV1(url, {
    capabilities: { elicitation: {} },
    prepare: (client) =>
      client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept" as const, content: { name } }))
  })

describe("a question of a server", () => {
  for (const protocol of ["legacy", "2026-07-28"] as const) {
    it.live(`reaches the client whose call it is about, from a server of ${protocol}`, () =>
      Effect.gen(function*() {
        const { url } = yield* startGateway({ only: { url: yield* serveAsking, protocol } })
        const names = ["Ada", "Bob", "Cleo"]
        const said = yield* Effect.forEach(names, (name) =>
          Effect.gen(function*() {
            const { client } = yield* connectAs(url, name)
            const results = yield* Effect.promise(() =>
              Promise.all(["ask", "ask-too", "ask"].map((tool) => client.callTool({ name: tool })))
            )
            return results.map(textOf)
          }), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          said,
          names.map((name) => Array.from({ length: 3 }, () => JSON.stringify({ action: "accept", content: { name } })))
        )
      }))
  }

  it.live("arrives on the response of the call that it is about, with two calls of one client in flight", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({ only: { url: yield* serveAsking, protocol: "legacy" } })
      const body = { ...initialize, params: { ...initialize.params, capabilities: { elicitation: {} } } }
      const { session } = yield* post(url, body)
      const answered = new Set<number>()
      /** Reads the response of a call as it comes, and answers the question in it with the id of the call. */
      const ask = (id: number) =>
        Effect.promise(async (signal) => {
          const response = await streamOf(url, session, call(id, id % 2 === 0 ? "ask" : "ask-too"), signal)
          for await (const { id: question, method, result } of response) {
            if (method === "elicitation/create") {
              answered.add(question)
              const answer = { action: "accept", content: { name: `call ${id}` } }
              await streamOf(url, session, { jsonrpc: "2.0", id: question, result: answer }, signal)
            } else return textOf(result)
          }
          return "the stream ended"
        })
      const said = yield* Effect.all([ask(1), ask(2), ask(3), ask(4)], { concurrency: "unbounded" })
      assert.deepStrictEqual(
        said,
        [1, 2, 3, 4].map((id) => JSON.stringify({ action: "accept", content: { name: `call ${id}` } }))
      )
      assert.strictEqual(answered.size, 4)
    }))

  it.live("for a message of a model, and for roots, is answered by the client", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({ only: everything })
      const { client } = yield* connectV1(url, {
        capabilities: { sampling: {}, roots: {} },
        prepare: (client) => {
          client.setRequestHandler(CreateMessageRequestSchema, () => ({
            model: "m",
            role: "assistant" as const,
            content: { type: "text" as const, text: "sampled" }
          }))
          client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///here", name: "here" }] }))
        }
      })
      const sampled = yield* Effect.promise(() =>
        client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "hi", maxTokens: 10 } })
      )
      assert.include(textOf(sampled), "sampled")
      const roots = yield* Effect.promise(() => client.callTool({ name: "get-roots-list" }))
      assert.include(textOf(roots), "file:///here")
    }))

  it.live("is refused by the gateway for a client that did not declare the capability", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({ only: { url: yield* serveAsking, protocol: "legacy" } })
      const { client } = yield* connectV1(url)
      const said = yield* Effect.promise(() => client.callTool({ name: "ask" }).then(textOf, String))
      assert.match(said, /elicitation/i)
    }))
})

describe("the capabilities of a client", () => {
  const capabilities = {
    sampling: { tools: {} },
    elicitation: { form: {}, url: {} },
    roots: { listChanged: true },
    experimental: { secret: {} }
  }

  /** A server that notes what its clients declare, and ends each call. */
  const startNoting = (declared: Queue.Queue<unknown>) =>
    Http.start(({ message: { id, method, params }, response }) => {
      const meta = params?._meta as Readonly<Record<string, unknown>> | undefined
      if (method === "initialize") Queue.offerUnsafe(declared, params?.capabilities)
      if (method === "tools/list") Http.json(response, Http.result(id, { tools: [noted] }))
      else if (method === "tools/call") {
        Queue.offerUnsafe(declared, meta?.["io.modelcontextprotocol/clientCapabilities"])
        Http.json(response, Http.result(id, { content: [] }))
      } else return false
      return true
    })

  const noted = { name: "noted", inputSchema: { type: "object" } }

  it.live("are declared to its servers in every detail that the protocol knows, and nothing else of them", () =>
    Effect.gen(function*() {
      const declared = yield* Queue.unbounded<unknown>()
      const { url: server } = yield* startNoting(declared)
      const { url } = yield* startGateway({ only: { url: server, protocol: "legacy" } })
      // The session that follows the lists.
      yield* Queue.take(declared)
      const { session } = yield* post(url, { ...initialize, params: { ...initialize.params, capabilities } })
      yield* post(url, call(1, "noted"), { session })
      const { experimental: _, ...expected } = capabilities
      assert.deepStrictEqual(yield* Queue.take(declared), expected)
    }))
})

describe("the era of a server that knows both", () => {
  it.live("is that of the client, and what one client uses does not change the era of another", () =>
    Effect.gen(function*() {
      const noted = { name: "noted", inputSchema: { type: "object" } }
      const server = yield* Http.start(Http.modern(({ message: { id, method, params }, response }) => {
        const isModern = params?._meta !== undefined
        const result = isModern ? Http.modernResult : Http.result
        if (method === "tools/list") Http.json(response, result(id, { tools: [noted] }))
        else if (method === "tools/call") {
          Http.json(response, result(id, { content: [{ type: "text", text: isModern ? "modern" : "legacy" }] }))
        } else return false
        return true
      }))
      const { url } = yield* startGateway({ only: { url: server.url } })
      const legacy = Effect.gen(function*() {
        const { client } = yield* connectV1(url)
        return textOf(yield* Effect.promise(() => client.callTool({ name: "noted" })))
      })
      const modern = Effect.gen(function*() {
        const client = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const client = new ClientV2({ name: "v2", version: "1" }, { versionNegotiation: { mode: "auto" } })
            await client.connect(new StreamableHTTPClientTransport(new URL(url)))
            return client
          }),
          (client) => Effect.promise(() => client.close())
        )
        return textOf(yield* Effect.promise(() => client.callTool({ name: "noted" })))
      })
      assert.deepStrictEqual(yield* Effect.all([legacy, modern, legacy]), ["legacy", "modern", "legacy"])
    }))
})
