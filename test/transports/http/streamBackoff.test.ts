/**
 * The backoff between the attempts to open a stream again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Backoff } from "../../../packages/transports/src/internal/http/streamBackoff.ts"

describe("the backoff of a stream", () => {
  it("doubles with each short stream, up to a minute, whatever the server requests", () => {
    const backoff = new Backoff()
    let now = 0
    const waits = Array.from({ length: 9 }, () => {
      const wait = backoff.next(now, 0)
      now += wait
      return wait
    })
    assert.deepStrictEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
  })

  it("restarts after a long stream", () => {
    const backoff = new Backoff()
    backoff.next(0, undefined)
    assert.strictEqual(backoff.next(500, undefined), 1000)
    assert.strictEqual(backoff.next(200_000, undefined), 500)
  })

  it("follows the delay that the server requests, within bounds", () => {
    assert.strictEqual(new Backoff().next(0, 3000), 3000)
    assert.strictEqual(new Backoff().next(0, 1e12), 60_000)
    assert.strictEqual(new Backoff().next(0, Number.NaN), 500)
  })
})
