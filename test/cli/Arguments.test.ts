import { assert, describe, it } from "@effect/vitest"
import * as Arguments from "@mcp-sessions/cli/Arguments"
import { ExactNumbers } from "@mcp-sessions/transports"
import { Effect, Option } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterAll } from "vitest"

const tool = {
  name: "t",
  inputSchema: {
    type: "object" as const,
    properties: {
      text: { type: "string" },
      count: { type: "integer" },
      ratio: { type: "number" },
      flag: { type: "boolean" },
      list: { type: "array", items: { type: "integer" } },
      nested: { type: "object", properties: { inner: { type: "number" } } },
      maybe: { type: ["string", "null"] },
      choice: { enum: ["a", "b"] },
      either: { anyOf: [{ type: "integer" }, { type: "boolean" }] },
      anything: {},
      referred: { $ref: "#/$defs/Count" },
      "dot.ted": { type: "number" }
    },
    $defs: { Count: { type: "integer" } },
    required: ["text"]
  }
}

const directory = mkdtempSync(join(tmpdir(), "arguments-"))
const there = join(directory, "there")
writeFileSync(there, "from a file")
afterAll(() => rmSync(directory, { recursive: true }))

const read = (
  words: ReadonlyArray<string>,
  options: { readonly base?: Record<string, unknown>; readonly validate?: boolean } = {}
) =>
  Arguments.read({
    tool,
    words,
    base: options.base ?? { text: "x" },
    validate: options.validate ?? true,
    directory: process.cwd()
  })

describe("tool arguments", () => {
  const table: ReadonlyArray<readonly [words: ReadonlyArray<string>, expected: Record<string, unknown>]> = [
    [["text=5"], { text: "5" }],
    [["text=true"], { text: "true" }],
    [["text=a=b"], { text: "a=b" }],
    [["text="], { text: "" }],
    [["count=5"], { count: 5 }],
    [["ratio=-1.5e3"], { ratio: -1500 }],
    [["flag=false"], { flag: false }],
    [["list=[1,2]"], { list: [1, 2] }],
    [["list=1"], { list: [1] }],
    [["list=1", "list=2"], { list: [1, 2] }],
    [["nested={\"inner\":1}"], { nested: { inner: 1 } }],
    [["nested.inner=2.5"], { nested: { inner: 2.5 } }],
    [["maybe=null"], { maybe: "null" }],
    [["maybe:=null"], { maybe: null }],
    [["choice=a"], { choice: "a" }],
    [["either=true"], { either: true }],
    [["either=3"], { either: 3 }],
    [["anything=x"], { anything: "x" }],
    [["anything:={\"deep\":[1]}"], { anything: { deep: [1] } }],
    [["referred=5"], { referred: 5 }],
    [["dot.ted=1.5"], { "dot.ted": 1.5 }],
    [[`text=@${there}`], { text: "from a file" }],
    [["text=@@there"], { text: "@there" }]
  ]
  for (const [words, expected] of table) {
    it.effect(`reads ${words.join(" ")}`, () =>
      Effect.map(read(words), (args) => assert.deepStrictEqual(args, { text: "x", ...expected })))
  }

  it.effect("prefers words of the command line to arguments from --args", () =>
    Effect.map(
      read(["text=word"], { base: { text: "base", count: 1 } }),
      (args) => assert.deepStrictEqual(args, { text: "word", count: 1 })
    ))

  it.effect("reports all invalid arguments together with the signature of the tool", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        read(["count=x", "nope=1", "flag:=7", "flga=true", "choice=c", "ratio:={", "count", "text=1", "text=2"], {
          base: {}
        })
      )
      assert.deepStrictEqual(error.problems, [
        "count: expected integer",
        "ratio: expected JSON after :=; at line 1, column 2: expected a closing brace",
        "cannot parse \"count\"; expected key=value or key:=JSON",
        "text: given twice, but the tool takes one value",
        "unknown argument \"nope\"",
        "flag: expected boolean",
        "unknown argument \"flga\"; did you mean \"flag\"?",
        "choice: expected one of a, b"
      ])
      assert.strictEqual(
        error.hint,
        "t text=<string> [count=<integer>] [ratio=<number>] [flag=<boolean>] [list=<array>] [nested=<object>] [maybe=<string|null>] [choice=<any>] [either=<integer|boolean>] [anything=<any>] [referred=<integer>] [dot.ted=<number>] (--no-validate sends the arguments unchecked)"
      )
    }))

  it.effect("reports a missing required argument", () =>
    Effect.map(
      Effect.flip(read([], { base: {} })),
      ({ problems }) => assert.deepStrictEqual(problems, ["missing argument \"text\""])
    ))

  it.effect("reports no argument as missing beside a word that may have been meant for it", () =>
    Effect.map(
      Effect.flip(read(["text", "word"], { base: {} })),
      ({ problems }) =>
        assert.deepStrictEqual(problems, [
          "cannot parse \"text\"; expected key=value or key:=JSON",
          "cannot parse \"word\"; expected key=value or key:=JSON"
        ])
    ))

  it.effect("sends what does not fit the schema as text without validation, and a repeated key as a list", () =>
    Effect.map(
      read(
        ["count=x", "flag=maybe", "list=a", "nested={", "nested.inner=y", "ratio=1", "ratio=2", "text=1", "text=2"],
        {
          base: {},
          validate: false
        }
      ),
      (args) =>
        assert.deepStrictEqual(args, {
          count: "x",
          flag: "maybe",
          list: "a",
          nested: { inner: "y" },
          ratio: [1, 2],
          text: ["1", "2"]
        })
    ))

  it.effect("sends unknown arguments to the server without validation", () =>
    Effect.map(
      read(["unknown=1"], { base: {}, validate: false }),
      (args) => assert.deepStrictEqual(args, { unknown: "1" })
    ))

  it.effect("does not report an argument with an unreadable file as missing too", () =>
    Effect.map(
      Effect.flip(read(["text=@nowhere"], { base: {} })),
      ({ problems }) => assert.deepStrictEqual(problems, [`text: no such file: ${resolve("nowhere")}`])
    ))

  const numbers = ["9007199254740993", "-9007199254740993", "9007199254740993.0", "1915883588174806058e0", "1e400"]
  for (const number of numbers) {
    it.effect(`passes ${number}, which a double cannot hold, on as it is written`, () =>
      Effect.gen(function*() {
        const base = Option.getOrThrow(ExactNumbers.parse(`{"text":"x","anything":{"deep":[${number}]}}`))
        const args = yield* read(
          [`count=${number}`, `ratio=${number}`, `list=[${number}]`, `nested.inner:=${number}`],
          {
            base: base as Record<string, unknown>
          }
        )
        assert.strictEqual(
          JSON.stringify(args),
          `{"text":"x","anything":{"deep":[${number}]},"count":${number},"ratio":${number},"list":[${number}],` +
            `"nested":{"inner":${number}}}`
        )
      }))
  }

  it.effect("tells whole numbers that a double cannot hold from others", () =>
    Effect.map(
      Effect.flip(read(["count=9007199254740993.5"])),
      ({ problems }) => assert.deepStrictEqual(problems, ["count: expected integer"])
    ))

  it.effect("takes any arguments for a tool without an input schema", () =>
    Effect.gen(function*() {
      for (const inputSchema of [undefined, null, 5, "object", [], { properties: null, required: null }]) {
        const args = yield* Arguments.read({
          tool: { name: "t", inputSchema } as never,
          words: ["a=1", "b:=2"],
          base: {},
          validate: true,
          directory: "/"
        })
        assert.deepStrictEqual(args, { a: "1", b: 2 })
      }
    }))

  it.effect("treats __proto__ as an ordinary key", () =>
    Effect.map(read(["__proto__.polluted:=1"], { validate: false }), (args) => {
      assert.isTrue(Object.hasOwn(args, "__proto__"))
      assert.isUndefined(({} as Record<string, unknown>).polluted)
    }))
})
