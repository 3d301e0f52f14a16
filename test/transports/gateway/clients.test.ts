/**
 * Clients of other people at a gateway: SDK v2, and the client of `effect/ai`. SDK v1 is used by the other tests.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { Effect, Layer } from "effect"
import { McpClient, McpProtocol } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { connectV1, startGateway, textOf } from "../../fixtures/gateway.ts"
import { stdio } from "../../fixtures/peer.ts"

describe("a client of SDK v2", () => {
  for (const mode of ["legacy", "auto"] as const) {
    it.live(`in mode ${mode} lists and calls tools, with progress and an error verbatim`, () =>
      Effect.gen(function*() {
        const { config, ledger } = yield* stdio("v1").start
        const { url } = yield* startGateway({ only: config }, { exclude: ["only/vague"] })
        const client = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const client = new Client({ name: "v2", version: "1" }, { versionNegotiation: { mode } })
            await client.connect(new StreamableHTTPClientTransport(new URL(url)))
            return client
          }),
          (client) => Effect.promise(() => client.close())
        )
        assert.strictEqual(client.getProtocolEra(), mode === "auto" ? "modern" : "legacy")
        const { tools } = yield* Effect.promise(() => client.listTools())
        assert.include(tools.map(({ name }) => name), "count")
        const reports: Array<number> = []
        const done = yield* Effect.promise(() =>
          client.callTool({ name: "steps" }, { onprogress: ({ progress }) => void reports.push(progress) })
        )
        assert.deepStrictEqual([textOf(done), reports], ["done", [1, 2, 3]])
        const error = yield* Effect.promise(() => client.callTool({ name: "reject" }).then(() => undefined, (e) => e))
        assert.deepInclude(error, { code: -32050, data: { why: "because" } })
        yield* Effect.promise(() => client.callTool({ name: "count", arguments: { id: "1" } }))
        assert.deepStrictEqual(ledger("count"), ["1"])
      }))
  }
})

describe("the client of effect/ai", () => {
  it.live("lists and calls tools", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { exclude: ["only/vague"] })
      yield* Effect.gen(function*() {
        const client = yield* McpClient.McpClient
        const tool = (yield* client.listTools()).find(({ name }) => name === "count") ?? assert.fail("no such tool")
        const said = yield* client.callTool({ tool, arguments: { id: "1" } })
        assert.strictEqual(textOf(said), "counted")
      }).pipe(
        Effect.scoped,
        Effect.provide(
          McpClient.layerHttp({ name: "effect-ai", version: "1", protocol: McpProtocol.v2025_11_25, url }).pipe(
            Layer.provide(FetchHttpClient.layer)
          )
        )
      )
      assert.deepStrictEqual(ledger("count"), ["1"])
    }))
})

describe("a session of this library", () => {
  it.live("uses a gateway over a gateway as it uses a server", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const inner = yield* startGateway({ only: config }, { exclude: ["only/vague"] })
      const outer = yield* startGateway({ inner: { url: inner.url } })
      const { client } = yield* connectV1(outer.url)
      const said = yield* Effect.promise(() => client.callTool({ name: "count", arguments: { id: "1" } }))
      assert.strictEqual(textOf(said), "counted")
      assert.deepStrictEqual(ledger("count"), ["1"])
    }))
})
