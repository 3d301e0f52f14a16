/**
 * Definitions of tools as models get them.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Mcp } from "@mcp-sessions/core"
import { soundDefinition } from "../../../packages/core/src/internal/toolkit/definition.ts"

const read = (members: object): Mcp.Tool => ({ name: "read", ...members } as Mcp.Tool)

describe("a definition for a model", () => {
  it("is the one of the server if it is sound", () => {
    for (
      const inputSchema of [
        { type: "object" },
        { type: "object", $ref: "#/$defs/a", $defs: { a: true } },
        { type: "object", properties: { a: true, b: { type: "objekt" } }, required: ["a"] }
      ]
    ) {
      const definition = read({ inputSchema, description: "reads", title: "Read", annotations: { readOnlyHint: true } })
      assert.strictEqual(soundDefinition(definition), definition)
    }
  })

  it("takes arguments as an object, though the server says something else", () => {
    for (const inputSchema of [undefined, null, true, false, "object", 5, [], {}, { type: "string" }]) {
      assert.deepStrictEqual(soundDefinition(read({ inputSchema })), read({ inputSchema: { type: "object" } }))
    }
    assert.deepStrictEqual(
      soundDefinition(read({ inputSchema: { properties: [1], required: "a", title: "T" } })).inputSchema as object,
      { type: "object", title: "T" }
    )
  })

  it("has no title, description or annotations of another type", () => {
    const inputSchema = { type: "object" }
    assert.deepStrictEqual(
      soundDefinition(read({ inputSchema, title: {}, description: 5, annotations: "read-only", icons: [] })),
      read({ inputSchema, icons: [] })
    )
  })
})
