/**
 * Tool calls whose results are decoded with a schema.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Mcp, Session, type SessionError, SessionPool, Sessions } from "@mcp-sessions/core"
import { Effect, Schema, SchemaGetter } from "effect"
import { make as script, sessions } from "../fixtures/scripted.ts"

const Weather = Schema.Struct({ temperature: Schema.Finite })

/** Calls a tool that returns `result` in three ways. */
const call = <A, E>(
  result: Partial<Mcp.CallToolResult>,
  f: (
    callTool: <B>(options: Session.TypedCallOptions<B>) => Effect.Effect<B, SessionError.SessionError>
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const all = yield* Sessions.Sessions
    const session = yield* all.get("s")
    const pool = yield* SessionPool.make({ server: "s" })
    const outcomes: Array<A> = []
    for (
      const one of [
        <B>(options: Session.TypedCallOptions<B>) => session.callTool("get_weather", { city: "Bern" }, options),
        <B>(options: Session.TypedCallOptions<B>) => all.callTool("s", "get_weather", {}, options),
        <B>(options: Session.TypedCallOptions<B>) => pool.callTool("get_weather", undefined, options)
      ]
    ) {
      outcomes.push(
        yield* f((options) => Effect.catchIf(one(options), (error) => error._tag !== "SessionError", Effect.die))
      )
    }
    return outcomes
  }).pipe(Effect.scoped, Effect.provide(sessions(script({ answer: () => Effect.succeed(result) }))))

describe("a call with a schema", () => {
  it.effect("gives the decoded structured content", () =>
    Effect.gen(function*() {
      const outcomes = yield* call(
        { content: [{ type: "text", text: "cold" }], structuredContent: { temperature: 3, wind: 9 } },
        (callTool) => Effect.map(callTool({ schema: Weather }), ({ temperature }) => temperature)
      )
      assert.deepStrictEqual(outcomes, [3, 3, 3])
    }))

  it.effect("decodes once", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ temperature: Schema.FiniteFromString })
      const outcomes = yield* call({ structuredContent: { temperature: "3" } }, (callTool) => callTool({ schema }))
      assert.deepStrictEqual(outcomes, Array.from({ length: 3 }, () => ({ temperature: 3 })))
    }))

  it.effect("decodes the JSON of the text of a server without structured content", () =>
    Effect.gen(function*() {
      const outcomes = yield* call({ content: [{ type: "text", text: "{\"temperature\":3}" }] }, (callTool) =>
        callTool({ schema: Weather }))
      assert.deepStrictEqual(outcomes[0], { temperature: 3 })
    }))

  it.effect("fails with InvalidResult, which is Answered, where the schema itself throws", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ temperature: Schema.Finite }).check(Schema.makeFilter(() => {
        throw new Error("a bug of the schema")
      }))
      const reasons = yield* call(
        { structuredContent: { temperature: 3 } },
        (callTool) => Effect.map(Effect.flip(callTool({ schema })), ({ delivery, reason }) => [reason._tag, delivery])
      )
      assert.deepStrictEqual(reasons, Array.from({ length: 3 }, () => ["InvalidResult", "Answered"]))
    }))

  it.effect("fails with InvalidResult, which is Answered and names places but no values", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ temperature: Schema.Finite, wind: Schema.Struct({ from: Schema.String }) })
      for (
        const [result, where] of [
          [{ structuredContent: { temperature: "secret", wind: {} } }, " at \"temperature\""],
          [{ structuredContent: { temperature: 1, wind: { from: 1 } } }, " at \"wind.from\""],
          [{ content: [{ type: "text", text: "secret" }] }, ""],
          [{}, ""]
        ] as const
      ) {
        const outcomes = yield* call(result as object, (callTool) => Effect.flip(callTool({ schema })))
        for (const { delivery, message, reason } of outcomes) {
          assert.strictEqual(reason._tag, "InvalidResult")
          assert.strictEqual(delivery, "Answered")
          assert.strictEqual(
            message,
            `s: the structured result of "get_weather" does not fit the schema of the caller${where}`
          )
        }
      }
    }))

  it.effect("shows no more than the beginning of a path, whose keys come from the server", () =>
    Effect.gen(function*() {
      const schema = Schema.Record(Schema.String, Schema.Finite)
      const structuredContent = { ["k".repeat(1_000_000)]: "secret" }
      const outcomes = yield* call({ structuredContent }, (callTool) => Effect.flip(callTool({ schema })))
      for (const { message } of outcomes) assert.match(message, /caller at "k{200}…"$/)
    }))

  it.effect("fails with ToolFailed if the tool reports that it failed", () =>
    Effect.gen(function*() {
      const result: Mcp.CallToolResult = { isError: true, content: [{ type: "text", text: "no such city" }] }
      const outcomes = yield* call(result, (callTool) => Effect.flip(callTool({ schema: Weather })))
      for (const { delivery, message, reason } of outcomes) {
        assert(reason._tag === "ToolFailed")
        assert.deepStrictEqual(reason.result, result)
        assert.deepStrictEqual([delivery, message, reason.isRetryable], ["Answered", "s: no such city", false])
      }
    }))

  it.effect("takes schemas that decode with effects", () =>
    Effect.gen(function*() {
      const schema = Weather.pipe(Schema.decodeTo(Schema.Finite, {
        decode: SchemaGetter.transformEffect(({ temperature }: { readonly temperature: number }) =>
          Effect.as(Effect.yieldNow, temperature)
        ),
        encode: SchemaGetter.transform((temperature: number) => ({ temperature }))
      }))
      assert.deepStrictEqual(
        yield* call({ structuredContent: { temperature: 3 } }, (callTool) => callTool({ schema })),
        [
          3,
          3,
          3
        ]
      )
    }))

  it.effect("refuses a value that is not a schema, before it sends anything", () => {
    const one = script({})
    return Effect.gen(function*() {
      const { callTool } = yield* Sessions.Sessions
      const error = yield* Effect.flip(
        callTool("s", "get_weather", {}, { schema: { type: "object" } as unknown as typeof Weather })
      )
      assert(error._tag === "ConfigError")
      assert.strictEqual(error.message, "server \"s\" at $.schema: \"schema\" must be a schema")
      assert.deepStrictEqual(one.requests, [])
    }).pipe(Effect.provide(sessions(one)))
  })

  it.effect("has a result of the type of its schema, and one without a schema of the protocol's type", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ transport: "stdio", command: "s" })
      const weather: { readonly temperature: number } = yield* session.callTool("get_weather", {}, { schema: Weather })
      assert.deepStrictEqual(weather, { temperature: 3 })
      const result: Mcp.CallToolResult = yield* session.callTool("get_weather", {}, { timeout: "1 second" })
      assert.deepStrictEqual(result.content, [])
    }).pipe(
      Effect.scoped,
      Effect.provide(script({ answer: () => Effect.succeed({ structuredContent: { temperature: 3 } }) }).layer)
    ))
})
