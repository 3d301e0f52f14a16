/**
 * Stalls of a process, seen in the time that passes between the ticks of its timer.
 */
import { assert, describe, it } from "@effect/vitest"
import { afterEach, beforeEach, vi } from "vitest"
import { Stalls } from "../../../packages/transports/src/internal/fleet/stalls.ts"

describe("a process", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const start = () => {
    const clock = { now: 0 }
    const stalls = new Stalls(() => clock.now)
    const run = (milliseconds: number) => {
      for (let step = 0; step < milliseconds; step += 100) {
        clock.now += 100
        vi.advanceTimersByTime(100)
      }
    }
    return { stalls, run, freeze: (milliseconds: number) => void (clock.now += milliseconds) }
  }

  it("takes what arrives while its timer ticks", () => {
    const { run, stalls } = start()
    run(10_000)
    assert.isFalse(stalls.isRefusing)
    stalls.stop()
  })

  it("refuses what arrives right after it stood still, before its timer has ticked", () => {
    const { freeze, run, stalls } = start()
    run(1000)
    freeze(11_000)
    assert.isTrue(stalls.isRefusing)
    run(900)
    assert.isTrue(stalls.isRefusing)
    run(200)
    assert.isFalse(stalls.isRefusing)
    stalls.stop()
  })

  it("takes what arrives after a pause of two seconds or less, such as a collection of garbage", () => {
    const { freeze, run, stalls } = start()
    run(1000)
    freeze(1900)
    assert.isFalse(stalls.isRefusing)
    stalls.stop()
  })
})
