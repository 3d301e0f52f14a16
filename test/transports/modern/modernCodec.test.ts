/**
 * The JSON of requests of 2026-07-28, whose shared metadata is encoded once for all of them.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Connection } from "@mcp-sessions/core"
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import { Schema } from "effect"
import { ModernCodec } from "../../../packages/transports/src/internal/modern/modernCodec.ts"
import { outgoing } from "../../fixtures/outgoing.ts"

const make = () =>
  new ModernCodec({
    protocolVersion: "2026-07-28",
    clientInfo: { name: "c", version: "1" },
    clientCapabilities: { roots: {} },
    toolHeaders: undefined,
    engine: () => assert.fail(),
    fulfilInput: () => assert.fail(),
    redact: (reason) => reason
  })

const requestOf = (
  params: Record<string, unknown> | undefined,
  onProgress?: () => void
): Connection.OutgoingRequest => outgoing({ id: 7, params, onProgress })

/** The encoded message, and the message that it has to be. */
const encoded = (codec: ModernCodec, request: Connection.OutgoingRequest) => {
  const message = { jsonrpc: "2.0", id: 7, method: "tools/call", params: codec.paramsOf(request) } as JSONRPCRequest
  return { text: codec.encode(request, message), message }
}

describe("the JSON of a request", () => {
  it.prop("is that of its message, whatever the params", [Schema.Record(Schema.String, Schema.Json)], ([params]) => {
    const { message, text } = encoded(make(), requestOf(params))
    assert.deepStrictEqual(JSON.parse(text ?? ""), JSON.parse(JSON.stringify(message)))
  }, { arbitrary: { seed: 1 } })

  for (
    const [what, params] of [
      ["without params", undefined],
      ["with empty params", {}],
      ["with a value that JSON leaves out", { name: undefined }],
      ["with metadata of its own", { a: 1, _meta: { x: 1 } }],
      ["with metadata that is no object", { a: 1, _meta: 7 }],
      ["with params that encode to text", { a: 1, toJSON: () => "text" }],
      ["with params that encode to an array", { a: 1, toJSON: () => [] }]
    ] as const
  ) {
    it(`is that of its message ${what}`, () => {
      const { message, text } = encoded(make(), requestOf(params))
      assert.deepStrictEqual(JSON.parse(text ?? ""), JSON.parse(JSON.stringify(message)))
    })
  }

  it("has the progress token and the log level", () => {
    const codec = make()
    codec.setLogLevel("error")
    for (const request of [requestOf({ a: 1 }), requestOf({ a: 1 }, () => {})]) {
      const { message, text } = encoded(codec, request)
      assert.deepStrictEqual(JSON.parse(text ?? ""), JSON.parse(JSON.stringify(message)))
      assert.include(text, "\"error\"")
      assert.strictEqual(text?.includes("progressToken"), request.onProgress !== undefined)
    }
  })

  it("is missing for params that have none", () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    for (const params of [cycle, { a: 1n }]) {
      assert.isUndefined(encoded(make(), requestOf(params)).text)
    }
  })
})
