/**
 * Options of calls: what is accepted, and what is made of durations.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { BadOptions, checkCall } from "../../../packages/core/src/internal/config/callOptions.ts"
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
    const options = { timeout: 5, owner: "a", idempotent: true, other: "ignored" }
    assert.strictEqual(checkCall(options, "s"), options)
    assert.isUndefined(checkCall(undefined, "s"))
  })

  it("have their durations in milliseconds", () => {
    assert.deepStrictEqual(checkCall({ timeout: "5 seconds", owner: "a" }, "s"), { timeout: 5000, owner: "a" })
    assert.deepStrictEqual(checkCall({ timeout: -1 }, "s"), { timeout: 0 })
  })

  it("are refused with every problem of them at once", () => {
    const checked = checkCall({ timeout: "30s", retry: {}, owner: 5, task: { ttl: -1 } }, "s")
    const problems = checked instanceof BadOptions ? checked.error.problems : []
    assert.deepStrictEqual(problems.map(({ _tag, path }) => [_tag, ...path]), [
      ["InvalidDuration", "timeout"],
      ["InvalidValue", "retry"],
      ["InvalidValue", "owner"],
      ["InvalidValue", "task"]
    ])
  })
})
