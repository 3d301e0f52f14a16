/**
 * The kept end of stderr: its text is independent of chunk boundaries.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ringBytes, StderrRing, tailCharacters } from "../../../packages/transports/src/internal/stdio/stderrRing.ts"

const ringOf = (bytes: Buffer, cuts: ReadonlyArray<number> = []): StderrRing => {
  const ring = new StderrRing()
  let start = 0
  for (
    const cut of [...cuts.map((cut) => Math.abs(cut) % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  ) {
    ring.push(bytes.subarray(start, cut))
    start = cut
  }
  return ring
}

describe("the kept end of stderr", () => {
  it.effect.prop(
    "has every character whole, whatever the chunk boundaries",
    [Schema.String, Schema.Array(Schema.Int)],
    ([middle, cuts]) =>
      Effect.sync(() => {
        const text = `aé€🎉${Buffer.from(middle).toString()}🎉€é`
        assert.strictEqual(ringOf(Buffer.from(text), cuts).text(), text)
      }),
    { arbitrary: { seed: 1 } }
  )

  it.effect.prop(
    "starts with a whole character after its head was dropped, whatever the chunk boundaries",
    [Schema.Literals(["é", "€", "🎉", "aé€🎉"]), Schema.Int, Schema.Array(Schema.Int)],
    ([character, offset, cuts]) =>
      Effect.sync(() => {
        const text = "a".repeat(Math.abs(offset) % 5) + character.repeat(ringBytes)
        const kept = ringOf(Buffer.from(text), cuts).text()
        assert.isTrue(text.endsWith(kept))
        const { length } = Buffer.from(kept)
        assert.isAtMost(length, ringBytes)
        assert.isAbove(length, ringBytes - 4)
      }),
    { arbitrary: { seed: 1 } }
  )

  it("leaves out a character whose last bytes are still to come", () => {
    const bytes = Buffer.from("no key 🎉")
    assert.strictEqual(ringOf(bytes.subarray(0, -1)).text(), "no key ")
  })

  it("starts with a whole line after its head was dropped", () => {
    const line = `token k9-Z3xy7-${"x".repeat(100)}\n`
    const kept = ringOf(Buffer.from(line.repeat(ringBytes / 64))).text()
    assert.strictEqual(kept, line.repeat(Math.floor(ringBytes / line.length)))
  })

  it("is quoted in whole characters", () => {
    const tail = ringOf(Buffer.from(`${"🎉".repeat(tailCharacters)}!`)).tail((text) => text)
    assert.strictEqual(tail, `${"🎉".repeat(tailCharacters / 2 - 1)}!`)
  })
})
