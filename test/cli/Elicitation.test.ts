/**
 * Questions of a server at a real terminal. `Call.test.ts` has the rules of forms.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { isAlive, until } from "../fixtures/peer.ts"
import { inWorkplace, rich } from "./cli.ts"
import * as Terminal from "./terminal.ts"

describe.concurrent("a form at a terminal", () => {
  it.live("is asked field by field, asks anew after an invalid value, and never shows a secret", () =>
    inWorkplace((place, file, read) =>
      Effect.gen(function*() {
        const terminal = yield* Terminal.start(place, ["call", "form", ...rich(file)], { columns: 100, rows: 40 })
        for (
          const [prompt, typed] of [
            [/Who are you\?\n.*Answer, decline, cancel\? \[answer\]$/i, ""],
            [/Your name \(text of at least 2 characters\):$/, "A"],
            [/ {2}expected text of at least 2 characters\n.*Your name \(.*\):$/, "Ada"],
            [/age \(.*\):$/, "0"],
            [/ {2}expected a whole number from 1 to 150\n.*age \(.*\):$/, "36"],
            [/1\. Red\n.*2\. Green\n.*\[g\]:$/, "1"],
            [/agreed \(yes or no\) \[none\]:$/, ""],
            [/toppings .*:$/, "basil"],
            [/Never shown\n.*api_key .*:$/, "s3cret-key"]
          ] as const
        ) {
          yield* terminal.shows(prompt)
          terminal.type(`${typed}${Terminal.keys.enter}`)
        }
        assert.strictEqual(yield* terminal.exit, 0)
        assert.deepStrictEqual(read("answer").map((answer) => JSON.parse(answer)), [{
          action: "accept",
          content: { name: "Ada", age: 36, colour: "r", toppings: ["b"], api_key: "s3cret-key" }
        }])
        // The tool repeats the answer as its result, and nothing shows it before.
        assert.strictEqual(terminal.written().split("s3cret-key").length, 2)
      })
    ))

  it.live("cancels the call on Ctrl+C, and gives the terminal back", () =>
    inWorkplace((place, file, read) =>
      Effect.gen(function*() {
        const terminal = yield* Terminal.start(place, ["call", "form", ...rich(file)], { columns: 100 })
        yield* terminal.shows(/Who are you\?\n.*\[answer\]$/)
        terminal.type(Terminal.keys.enter)
        yield* terminal.shows(/Your name .*:$/)
        terminal.type(`Ad${Terminal.keys.ctrlC}`)
        assert.strictEqual(yield* terminal.exit, 130)
        assert.deepStrictEqual(read("call"), ["form {}"])
        yield* until(() => read("cancelled"), (cancelled) => cancelled.length > 0)
        assert.deepStrictEqual(read("cancelled"), ["form"])
        assert.deepStrictEqual(read("answer").filter((answer) => answer.includes("accept")), [])
        // What was typed stays, and what the key interrupts is below it.
        assert.match(
          terminal.screen().join("\n"),
          /Ad\^C\nstopping: cancelling calling node\/form, and closing the connections;/
        )
        assert.isTrue(terminal.modes().isCursorShown)
        yield* until(() => read("process").filter(isAlive), (alive) => alive.length === 0)
      })
    ))
})
