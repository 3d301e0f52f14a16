/**
 * The retry budget under any order of successes and retries.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { RetryBudget } from "../../../packages/core/src/internal/server/retryBudget.ts"

const spent = (budget: RetryBudget) => {
  let retries = 0
  while (retries < 1000 && budget.spend()) retries++
  return retries
}

describe("the retry budget", () => {
  it("admits 10 retries of a server that never succeeds, and none after them", () => {
    const budget = new RetryBudget()
    assert.strictEqual(spent(budget), 10)
    assert.isFalse(budget.spend())
  })

  it("admits one more retry for every 10 successes, give or take one", () => {
    const budget = new RetryBudget()
    spent(budget)
    for (let n = 0; n < 8; n++) budget.earn()
    assert.isFalse(budget.spend())
    for (let n = 0; n < 42; n++) budget.earn()
    assert.approximately(spent(budget), 5, 1)
  })

  it("holds 10 retries at most, however many requests succeed", () => {
    const budget = new RetryBudget()
    for (let n = 0; n < 10_000; n++) budget.earn()
    assert.strictEqual(spent(budget), 10)
  })

  it.prop(
    "is bounded by 10 retries and a tenth of the successes, whatever their order",
    [Schema.Array(
      Schema.Struct({ isRetry: Schema.Boolean, times: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 })) })
    )],
    ([steps]) => {
      const budget = new RetryBudget()
      let successes = 0
      let retries = 0
      let inRow = 0
      for (const { isRetry, times } of steps) {
        for (let n = 0; n < times; n++) {
          if (!isRetry) {
            budget.earn()
            successes++
            inRow = 0
          } else if (budget.spend()) {
            retries++
            inRow++
          } else inRow = 0
          assert.isAtMost(retries, 10 + successes / 10 + 1e-6)
          assert.isAtMost(inRow, 10)
        }
      }
    },
    { arbitrary: { seed: 1, runs: 300 } }
  )
})
