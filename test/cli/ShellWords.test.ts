import { assert, describe, it } from "@effect/vitest"
import { quote, split } from "@mcp-sessions/cli/ShellWords"
import { Effect, Schema } from "effect"

describe("a line of the shell", () => {
  it("is split at spaces, with quotes and backslashes, and JSON needs no quotes", () => {
    const table: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ["", []],
      ["  a  b ", ["a", "b"]],
      ["a 'b c' \"d \\\" e\" f\\ g", ["a", "b c", "d \" e", "f g"]],
      ["k='a b'c", ["k=a bc"]],
      ["''", [""]],
      ["--args {\"a\": [1, \"}\"]} x", ["--args", "{\"a\": [1, \"}\"]}", "x"]],
      ["k:=[1,\n2] b", ["k:=[1,\n2]", "b"]],
      ["a{b c}", ["a{b", "c}"]],
      ["a\\\nb", ["ab"]]
    ]
    for (const [line, words] of table) {
      const found = split(line)
      assert.deepStrictEqual([found.words, found.isComplete], [words, true], line)
    }
  })

  it("goes on where a quote, a bracket or a backslash is open", () => {
    for (const line of ["a 'b", "a \"b", "--args {\"a\": ", "k:=[[1]", "a \\"]) {
      assert.isFalse(split(line).isComplete, line)
    }
  })

  it.effect.prop(
    "gives back the words that were quoted",
    [Schema.Array(Schema.String)],
    ([words]) => Effect.sync(() => assert.deepStrictEqual(split(words.map(quote).join(" ")).words, words)),
    { arbitrary: { seed: 1 } }
  )
})
