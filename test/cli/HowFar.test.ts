import { assert, describe, it } from "@effect/vitest"
import { howFar } from "@mcp-sessions/cli/HowFar"

describe("howFar", () => {
  it("is a share where the total is known, and a number where it is not", () => {
    assert.strictEqual(howFar({ progress: 1, total: 3 }), "33%")
    assert.strictEqual(howFar({ progress: 7 }), "7")
    assert.strictEqual(howFar({ progress: 7, total: 0 }), "7")
  })

  it("adds what the server says, on one line and no longer than there is room", () => {
    assert.strictEqual(howFar({ progress: 1, total: 2, message: " reading\n\tpages " }), "50% reading pages")
    assert.strictEqual(howFar({ progress: 1, total: 2, message: "x".repeat(10_000) }), `50% ${"x".repeat(39)}…`)
  })
})
