/**
 * Options of calls: what is accepted, and what is made of durations.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { BadOptions, checkCall } from "../../../packages/core/src/internal/config/callOptions.ts"
import { ownedCallRules } from "../../../packages/core/src/internal/config/optionRules.ts"
import { millisOf } from "../../../packages/core/src/internal/config/values.ts"

describe("the milliseconds of a duration", () => {
  it.prop(
    "are finite and not negative, whatever the value, or there are none",
    // @effect-diagnostics-next-line schemaNumber:off - numbers that are not finite are what this is about
    [Schema.Union([Schema.Number, Schema.String, Schema.BigInt, Schema.Null, Schema.Boolean, Schema.Json])],
    ([value]) => {
      const millis = millisOf(value)
      assert.isTrue(millis === undefined || (Number.isFinite(millis) && millis >= 0))
    }
  )

  it("are those of the input, within the bounds", () => {
    for (
      const [input, millis] of [
        [1500, 1500],
        ["2 seconds", 2000],
        [2_000_000n, 2],
        [{ minutes: 1 }, 60_000],
        [-1, 0],
        ["-5 seconds", 0],
        [Number.NEGATIVE_INFINITY, 0],
        ["-Infinity", 0],
        [Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER],
        ["Infinity", Number.MAX_SAFE_INTEGER],
        [1e308, Number.MAX_SAFE_INTEGER]
      ] as const
    ) {
      assert.strictEqual(millisOf(input), millis, String(input))
    }
  })

  it("are none of a value that is no duration", () => {
    for (const input of [Number.NaN, "", "30s", "1e3 seconds", ".5 seconds", "5 parsecs", null, undefined, true]) {
      assert.isUndefined(millisOf(input), String(input))
    }
  })
})

describe("the options of a call", () => {
  it("are returned as they are if they are sound and their durations are milliseconds", () => {
    const options = { timeout: 5, owner: "a", idempotent: true, other: undefined }
    assert.strictEqual(checkCall(ownedCallRules, options, "s"), options)
    assert.isUndefined(checkCall(ownedCallRules, undefined, "s"))
  })

  it("have their durations in milliseconds", () => {
    assert.deepStrictEqual(checkCall(ownedCallRules, { timeout: "5 seconds", owner: "a" }, "s"), {
      timeout: 5000,
      owner: "a"
    })
    assert.deepStrictEqual(checkCall(ownedCallRules, { timeout: -1 }, "s"), { timeout: 0 })
  })

  it("are refused with every problem of them at once", () => {
    const checked = checkCall(ownedCallRules, { timeout: "30s", retry: {}, owner: 5, task: { ttl: -1 } }, "s")
    const problems = checked instanceof BadOptions ? checked.error.problems : []
    assert.deepStrictEqual(problems.map(({ _tag, path }) => [_tag, ...path]), [
      ["InvalidDuration", "timeout"],
      ["InvalidValue", "retry"],
      ["InvalidValue", "owner"],
      ["InvalidValue", "task"]
    ])
  })

  it("may have no unknown keys, at any depth, and the nearest known one is named", () => {
    const checked = checkCall(ownedCallRules, { timeuot: 5, task: { tll: 1 } }, "s")
    const problems = checked instanceof BadOptions ? checked.error.problems : []
    assert.deepStrictEqual(problems.map(({ message }) => message), [
      "server \"s\" at $.timeuot: the key \"timeuot\" is unknown; did you mean \"timeout\"?",
      "server \"s\" at $.task.tll: the key \"tll\" is unknown; did you mean \"ttl\"?"
    ])
  })

  it("may leave any key undefined", () => {
    const options = { timeuot: undefined, task: { tll: undefined } }
    assert.strictEqual(checkCall<object>(ownedCallRules, options, "s"), options)
  })
})
