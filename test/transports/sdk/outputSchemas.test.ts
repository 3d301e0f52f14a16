/**
 * Output schemas whose validation could take unbounded time, one of each kind.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { OutputSchemas } from "../../../packages/transports/src/internal/sdk/outputSchemas.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const objects = Array.from({ length: 50_000 }, (_, index) => ({ index }))

/** A schema of thirty levels, each of which references the level below it twice. */
const doubling = Object.fromEntries([
  ["step0", { type: "object" }],
  ...Array.from({ length: 30 }, (_, step) => {
    const below = { $ref: `#/$defs/step${step}` }
    return [`step${step + 1}`, { allOf: [below, below] }] as const
  })
])

const wide = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`p${index}`, { minLength: 1 }]))

type Kind = readonly [name: string, tag: "InvalidResult" | "Unsupported", schema: object, value: unknown]

const kinds: ReadonlyArray<Kind> = [
  [
    "a pattern that backtracks",
    "InvalidResult",
    { properties: { value: { pattern: "^(a+)+$" } } },
    `${"a".repeat(60)}!`
  ],
  [
    "items that are compared in pairs",
    "InvalidResult",
    { properties: { value: { uniqueItems: true } } },
    objects
  ],
  [
    "items that are each compared with a long list",
    "InvalidResult",
    { properties: { value: { contains: { enum: objects.slice(0, 5000) } } } },
    objects.map(({ index }) => ({ other: index }))
  ],
  [
    "references that double at each step",
    "InvalidResult",
    { $defs: doubling, properties: { value: { $ref: "#/$defs/step30" } } },
    {}
  ],
  ["more keywords than can be compiled in time", "Unsupported", { properties: wide }, {}]
]

const call = (schema: object, value: unknown) =>
  Effect.gen(function*() {
    const schemas = new OutputSchemas()
    const tools = [{ name: "t", outputSchema: { type: "object", ...schema } }]
    assert.isUndefined(schemas.after({ method: "tools/list", params: undefined }, { tools }))
    const request = { method: "tools/call", params: { name: "t" } }
    const fault = schemas.before(request) ?? schemas.after(request, { content: [], structuredContent: { value } })
    return yield* fault === undefined ? Effect.void : Effect.fail(fault)
  })

describe("an output schema", () => {
  for (const [name, tag, schema, value] of kinds) {
    it.live(`fails in bounded time with ${name}`, () =>
      Effect.gen(function*() {
        const reason = yield* Effect.flip(Effect.asVoid(call(schema, value)))
        assert.strictEqual(reason._tag, tag)
        assert.isBelow(reason.message.length, 2000)
      }))
  }

  it.live("is not fetched when it has a remote reference, and its tool is not called", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(() => false)
      for (
        const schema of [{ $ref: server.url }, { $schema: server.url }, { properties: { x: { $ref: server.url } } }]
      ) {
        const reason = yield* Effect.flip(Effect.asVoid(call(schema, {})))
        assert.strictEqual(reason._tag, "Unsupported")
        assert.strictEqual(reason.delivery, "NotSent")
      }
      assert.deepStrictEqual(server.ledger, [])
    }).pipe(Effect.scoped))

  it.effect("prints nothing, whatever its dialect and its keywords", () =>
    Effect.gen(function*() {
      const printed: Array<unknown> = []
      const methods = ["log", "info", "warn", "error"] as const
      const originals = methods.map((method) => console[method])
      for (const method of methods) {
        console[method] = (...words: ReadonlyArray<unknown>) => printed.push(words)
      }
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => methods.forEach((method, index) => Object.assign(console, { [method]: originals[index] })))
      )
      const dialects = [
        undefined,
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema#"
      ]
      for (const $schema of dialects) {
        const value = { type: "integer", format: "uint32", "x-unknown": 1, nullable: true }
        yield* call({ ...($schema === undefined ? {} : { $schema }), properties: { value } }, 1)
      }
      assert.deepStrictEqual(printed, [])
    }).pipe(Effect.scoped))
})
