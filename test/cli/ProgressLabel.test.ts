import { assert, describe, it } from "@effect/vitest"
import { progressLabel } from "@mcp-sessions/cli/ProgressLabel"

describe("progressLabel", () => {
  it("shows a percentage if the total is known, and the bare number otherwise", () => {
    assert.strictEqual(progressLabel({ progress: 1, total: 3 }), "33%")
    assert.strictEqual(progressLabel({ progress: 7 }), "7")
    assert.strictEqual(progressLabel({ progress: 7, total: 0 }), "7")
  })

  it("appends the message of the server on one line, cut to 40 characters", () => {
    assert.strictEqual(progressLabel({ progress: 1, total: 2, message: " reading\n\tpages " }), "50% reading pages")
    assert.strictEqual(progressLabel({ progress: 1, total: 2, message: "x".repeat(10_000) }), `50% ${"x".repeat(39)}…`)
  })
})
