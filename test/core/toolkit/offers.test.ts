/**
 * The tools that a catalog offers, as a pure state.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type CatalogTool, Offers } from "../../../packages/core/src/internal/toolkit/offers.ts"
import { tool } from "../../fixtures/toolServer.ts"

const offer = (name: string, pin: string): CatalogTool => ({
  server: "s",
  tool: name,
  name: `s_${name}`,
  definition: tool(name, pin),
  pin
})

const Listing = Schema.Array(Schema.Struct({
  name: Schema.Literals(["a", "b", "c"]),
  pin: Schema.Literals(["1", "2", "3"])
}))

describe("offers", () => {
  it.effect.prop(
    "never show a model a definition that was not accepted, whatever a server lists",
    [Schema.Array(Listing), Schema.Array(Schema.Literals(["a", "b", "c"]))],
    ([listings, accepted]) =>
      Effect.sync(() => {
        const offers = new Offers(undefined)
        /** The first pin of each name, and those that were accepted later. */
        const allowed = new Map<string, string>()
        for (const [index, listing] of listings.entries()) {
          const unique = [...new Map(listing.map((one) => [one.name, one])).values()]
          offers.list("s", unique.map(({ name, pin }) => offer(name, pin)))
          for (const { name, pin } of unique) if (!allowed.has(`s_${name}`)) allowed.set(`s_${name}`, pin)
          const name = accepted[index]
          const now = unique.find((one) => one.name === name)
          if (now !== undefined) {
            offers.accept(`s_${now.name}`)
            allowed.set(`s_${now.name}`, now.pin)
          }
          for (const { name, pin } of offers.offered) assert.strictEqual(pin, allowed.get(name))
          for (const { name, pin } of unique) {
            assert.strictEqual(offers.find(`s_${name}`)?.isHeld, allowed.get(`s_${name}`) !== pin)
          }
          assert.deepStrictEqual(
            offers.offered.map(({ name }) => name).toSorted(),
            unique.map(({ name }) => `s_${name}`).toSorted()
          )
        }
      })
  )

  it("remember a bounded number of names that are no longer listed", () => {
    const offers = new Offers(undefined)
    for (let at = 0; at < 30; at++) {
      offers.list("s", Array.from({ length: 1000 }, (_, index) => offer(`${at}-${index}`, "1")))
    }
    assert.strictEqual(Object.keys(offers.pins).length, 11_000)
  })

  it("change their version with the offered tools, and not otherwise", () => {
    const offers = new Offers(undefined)
    offers.list("s", [offer("a", "1")])
    const before = offers.version
    offers.list("s", [offer("a", "1")])
    assert.strictEqual(offers.version, before)
    offers.list("s", [offer("a", "1"), offer("b", "1")])
    assert.notStrictEqual(offers.version, before)
  })
})
