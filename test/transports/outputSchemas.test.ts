/**
 * Output schemas that take forever to check, one kind each.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { OutputSchemas } from "../../packages/transports/src/internal/outputSchemas.ts"

const objects = Array.from({ length: 50_000 }, (_, index) => ({ index }))

const kinds: ReadonlyArray<readonly [name: string, schema: object, value: unknown]> = [
  ["a pattern that backtracks", { properties: { value: { pattern: "^(a+)+$" } } }, `${"a".repeat(60)}!`],
  ["items that are compared in pairs", { properties: { value: { uniqueItems: true } } }, objects]
]

describe("an output schema", () => {
  for (const [name, schema, value] of kinds) {
    it.live(`with ${name} is given up`, () =>
      Effect.gen(function*() {
        const schemas = new OutputSchemas()
        const tools = [{ name: "t", outputSchema: { type: "object", ...schema } }]
        yield* schemas.around({ method: "tools/list", params: undefined }, Effect.succeed({ tools }))
        const answer = Effect.succeed({ content: [], structuredContent: { value } })
        const call = schemas.around({ method: "tools/call", params: { name: "t" } }, answer)
        const reason = yield* Effect.flip(Effect.asVoid(call))
        assert.strictEqual(reason._tag, "InvalidResult")
      }))
  }
})
