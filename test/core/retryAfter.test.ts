import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy } from "@mcp-sessions/core"
import { Duration } from "effect"

describe("Retry-After", () => {
  for (
    const [text, millis] of [
      [" 7 ", 7000],
      ["0", 0],
      ["99999999", 60_000],
      ["Thu, 01 Jan 1970 00:00:17 GMT", 7000],
      ["Thu, 01 Jan 1970 00:00:01 GMT", 0],
      ["Fri, 31 Dec 9999 23:59:59 GMT", 60_000],
      ["-7", 0],
      ["1.5", 0],
      ["", 0]
    ] as const
  ) {
    it(`"${text}" asks to wait ${millis} ms ten seconds after the epoch`, () => {
      assert.strictEqual(Duration.toMillis(RetryPolicy.parseRetryAfter({ text, now: 10_000 })), millis)
    })
  }
})
