import { assert, describe, it } from "@effect/vitest"
import * as Arguments from "@mcp-sessions/cli/Arguments"
import { Effect, FileSystem, PlatformError } from "effect"

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

const files = FileSystem.layerNoop({
  readFileString: (path) =>
    path === "there"
      ? Effect.succeed("from a file")
      : Effect.fail(PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "readFileString" }))
})

const read = (
  words: ReadonlyArray<string>,
  options: { readonly base?: Record<string, unknown>; readonly validate?: boolean } = {}
) =>
  Arguments.read({ tool, words, base: options.base ?? { text: "x" }, validate: options.validate ?? true }).pipe(
    Effect.provide(files)
  )

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
    [["text=@there"], { text: "from a file" }],
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
        "ratio: expected JSON after :=",
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

  it.effect("sends unknown arguments to the server without validation", () =>
    Effect.map(
      read(["unknown=1"], { base: {}, validate: false }),
      (args) => assert.deepStrictEqual(args, { unknown: "1" })
    ))

  it.effect("does not report an argument with an unreadable file as missing too", () =>
    Effect.map(
      Effect.flip(read(["text=@nowhere"], { base: {} })),
      ({ problems }) => assert.deepStrictEqual(problems, ["text: cannot read the file \"nowhere\""])
    ))

  it.effect("rejects a number that is too large for a double", () =>
    Effect.map(
      Effect.flip(read(["ratio=1e999"])),
      ({ problems }) => assert.deepStrictEqual(problems, ["ratio: expected number"])
    ))

  it.effect("rejects an integer that a double cannot represent exactly", () =>
    Effect.map(
      Effect.flip(read(["count=9007199254740993"])),
      ({ problems }) => assert.include(problems[0], "cannot be represented exactly")
    ))

  it.effect("treats __proto__ as an ordinary key", () =>
    Effect.map(read(["__proto__.polluted:=1"], { validate: false }), (args) => {
      assert.isTrue(Object.hasOwn(args, "__proto__"))
      assert.isUndefined(({} as Record<string, unknown>).polluted)
    }))
})
