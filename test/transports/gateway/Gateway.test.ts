/**
 * A gateway between real clients and real servers. What a tool did is counted by the server.
 */
import { assert, describe, it } from "@effect/vitest"
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Fiber } from "effect"
import { call, connectV1, initialize, post, startGateway, textOf } from "../../fixtures/gateway.ts"
import { http, stdio, until } from "../../fixtures/peer.ts"

/** The error that a promise of a client ends with. */
const errorOf = (run: () => Promise<unknown>) =>
  Effect.promise(() =>
    run().then(
      () => assert.fail("it was expected to fail"),
      (error: { readonly code: number; readonly message: string; readonly data?: Record<string, unknown> }) => error
    )
  )

describe("a gateway", () => {
  it.live("offers the tools of all servers under prefixed names, and calls each at its own server", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* stdio("v1").start, yield* http("v2").start]
      const { url } = yield* startGateway(
        { first: first.config, second: second.config },
        { exclude: ["*/vague"], resources: ["first"] }
      )
      const { client } = yield* connectV1(url)
      const { tools } = yield* Effect.promise(() => client.listTools())
      const names = tools.map(({ name }) => name)
      assert.notInclude(names, "first_vague")
      assert.includeMembers(names, ["first_count", "second_count", "first_echo", "second_echo"])
      yield* Effect.promise(() => client.callTool({ name: "second_count", arguments: { id: "7" } }))
      assert.deepStrictEqual([first.ledger("count"), second.ledger("count")], [[], ["7"]])
      const said = yield* Effect.promise(() => client.callTool({ name: "first_echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
    }))

  it.live("offers the tools of one server under their own names", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { client } = yield* connectV1(url)
      const said = yield* Effect.promise(() => client.callTool({ name: "echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
    }))

  it.live("passes on an error of a server with its code, message and data", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      const { text } = yield* post(url, call(1, "reject"), { session })
      assert.deepStrictEqual(JSON.parse(text), {
        jsonrpc: "2.0",
        id: 1,
        error: { code: -32050, message: "no such luck", data: { why: "because" } }
      })
    }))

  it.live("answers with JSON, and with an event stream as soon as a call reports progress", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      const plain = yield* post(url, call(1, "steps"), { session })
      assert.strictEqual(plain.type, "application/json")
      const stream = yield* post(url, call(2, "steps", {}, { progressToken: "t" }), { session })
      assert.strictEqual(stream.type, "text/event-stream")
      const messages = Array.from(stream.text.matchAll(/^data: (.+)$/gm), ([, data = ""]) => JSON.parse(data))
      assert.deepStrictEqual(
        messages.slice(0, 3).map(({ method, params }) => [method, params]),
        [1, 2, 3].map((n) => [
          "notifications/progress",
          { progressToken: "t", progress: n, total: 3, message: `step ${n}` }
        ])
      )
      assert.strictEqual(textOf(messages[3].result), "done")
      assert.lengthOf(messages, 4)
    }))

  it.live("cancels a call at its server when the client cancels it", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* http("v1").start
      const { url } = yield* startGateway({ only: config })
      const { client } = yield* connectV1(url)
      const calling = yield* Effect.forkChild(Effect.promise((signal) =>
        client.callTool({ name: "hang", arguments: { id: "1" } }, CallToolResultSchema, { signal })
      ))
      yield* until(() =>
        ledger("hang"), (ids) => ids.includes("1"))
      yield* Fiber.interrupt(calling)
      yield* until(() => ledger("cancelled"), (ids) => ids.includes("1"))
      // The session of the client is still there.
      const said = yield* Effect.promise(() => client.callTool({ name: "echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
    }))

  it.live("fails a call whose server died with data that says it may have run, and never sends it again", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { client } = yield* connectV1(url)
      const { code, data } = yield* errorOf(() => client.callTool({ name: "die", arguments: { id: "1" } }))
      assert.strictEqual(code, -32010)
      assert.deepStrictEqual(data, {
        server: "only",
        reason: "OutcomeUnknown",
        delivery: "Unknown",
        isRetryable: false,
        lost: "ServerExited"
      })
      // The session upstream is made again, and the call is not.
      const said = yield* Effect.promise(() => client.callTool({ name: "echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
      assert.deepStrictEqual(ledger("die"), ["1"])
    }))
})
