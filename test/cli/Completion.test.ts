import { assert, describe, it } from "@effect/vitest"
import { tree } from "@mcp-sessions/cli/Cli"
import { complete } from "@mcp-sessions/cli/Completion"
import * as LiveSources from "@mcp-sessions/cli/LiveSources"
import { Sessions } from "@mcp-sessions/core"
import { Context, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../fixtures/scripted.ts"

const draw = {
  name: "draw",
  inputSchema: {
    type: "object",
    properties: {
      colour: { enum: ["red", "green"], description: "The colour\nof the pen" },
      count: { type: "integer" },
      loud: { type: "boolean" },
      mode: { anyOf: [{ const: "fast" }, { const: "exact" }, { type: "null" }] },
      tags: { type: "array", items: { enum: ["a", "b"] } },
      "an\u001b[2Jother": { type: "string" }
    }
  }
}

/** Completes words with a session of the server `s`, which keeps what it was asked. `deaf` answers nothing. */
const setting = Effect.gen(function*() {
  const asked: Array<unknown> = []
  const script = Scripted.make({
    info: { capabilities: { tools: {}, prompts: {}, resources: {}, completions: {} } },
    answer: ({ method, params }) =>
      Effect.sync(() => {
        switch (method) {
          case "tools/list":
            return { tools: [draw, { name: "plain", inputSchema: { type: "object" } }] }
          case "prompts/list":
            return { prompts: [{ name: "summarize", arguments: [{ name: "style" }, { name: "tone" }] }] }
          case "resources/list":
            return { resources: [{ uri: "note://1", name: "note" }] }
          default:
            asked.push(params)
            return { completion: { values: ["short", "shorter", "long", "sh\nort"] } }
        }
      })
  })
  const deaf = Scripted.make({ answer: () => Effect.never })
  const sessions = Context.get(yield* Layer.build(Scripted.fleet({ s: script, deaf })), Sessions.Sessions)
  const commands = yield* tree
  const sources = LiveSources.make({ sessions, servers: ["s", "deaf"] })
  const candidates = (...words: ReadonlyArray<string>) => complete({ tree: commands, words, sources })
  const values = (...words: ReadonlyArray<string>) =>
    Effect.map(candidates(...words), (found) => found.map(({ value }) => value))
  return { asked, candidates, values }
})

describe("a completion with open sessions", () => {
  it.effect("offers the arguments of a tool by its schema, and the values that the schema lists", () =>
    Effect.gen(function*() {
      const { candidates, values } = yield* setting
      assert.deepStrictEqual(yield* values("call", "s/dr"), ["s/draw"])
      assert.deepStrictEqual(yield* values("call", "s/draw", ""), ["colour=", "count=", "loud=", "mode=", "tags="])
      assert.deepStrictEqual(yield* candidates("call", "s/draw", "col"), [
        { value: "colour=", description: "The colour …" }
      ])
      assert.deepStrictEqual(yield* values("call", "s/draw", "colour="), ["colour=red", "colour=green"])
      assert.deepStrictEqual(yield* values("call", "s/draw", "count=1", "colour=g"), ["colour=green"])
      assert.deepStrictEqual(yield* values("call", "s/draw", "loud="), ["loud=true", "loud=false"])
      assert.deepStrictEqual(yield* values("call", "s/draw", "mode="), ["mode=fast", "mode=exact"])
      assert.deepStrictEqual(yield* values("call", "s/draw", "tags="), ["tags=a", "tags=b"])
      for (const word of ["count=", "toString=", "none="]) {
        assert.deepStrictEqual(yield* values("call", "s/draw", word), [])
      }
      assert.deepStrictEqual(yield* values("call", "s/plain", ""), [])
      assert.deepStrictEqual(yield* values("call", "s/absent", ""), [])
      assert.deepStrictEqual(yield* values("call", "other/draw", ""), [])
    }))

  it.effect("asks the server for the values of an argument of a prompt, and for nothing else of it", () =>
    Effect.gen(function*() {
      const { asked, values } = yield* setting
      assert.deepStrictEqual(yield* values("prompt", "s/"), ["s/summarize"])
      assert.deepStrictEqual(yield* values("prompt", "s/summarize", ""), ["style=", "tone="])
      assert.deepStrictEqual(asked, [])
      // A value with a line break would be two words in a script.
      assert.deepStrictEqual(yield* values("prompt", "s/summarize", "style=sh"), ["style=short", "style=shorter"])
      assert.deepStrictEqual(asked, [{
        ref: { type: "ref/prompt", name: "summarize" },
        argument: { name: "style", value: "sh" }
      }])
      assert.deepStrictEqual(yield* values("prompt", "s/absent", "style=sh"), [])
      assert.strictEqual(asked.length, 1)
    }))

  it.effect("offers the resources of a server to read", () =>
    Effect.gen(function*() {
      const { values } = yield* setting
      assert.deepStrictEqual(yield* values("read", "s", "no"), ["note://1"])
    }))

  it.effect("gives up after 2 seconds on a server that does not answer", () =>
    Effect.gen(function*() {
      const { values } = yield* setting
      const fiber = yield* Effect.forkChild(values("call", "deaf/draw", ""), { startImmediately: true })
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [])
    }))
})
