/**
 * Hops between nodes: only a node of the fleet can make one, and each is handled once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { Hops } from "../../../packages/transports/src/internal/fleet/hop.ts"
import { SealedIds } from "../../../packages/transports/src/internal/gateway/sealedIds.ts"

const hopsOf = (key: string) =>
  new Hops(new SealedIds({ keys: [Redacted.make(Buffer.alloc(32, key))], purpose: "hop" }))

const hop = { principal: "alice", activation: "a", method: "POST" } as const

describe("a hop", () => {
  it("opens at another node with its ticket and its body", () => {
    const seal = hopsOf("k").seal(hop, "ticket", "body")
    assert.deepInclude(hopsOf("k").open(seal, "ticket", "body"), hop)
  })

  it("does not open with another body, another ticket or another key", () => {
    const seal = hopsOf("k").seal(hop, "ticket", "body")
    assert.isUndefined(hopsOf("k").open(seal, "ticket", "other"))
    assert.isUndefined(hopsOf("k").open(seal, "other", "body"))
    assert.isUndefined(hopsOf("other").open(seal, "ticket", "body"))
  })

  it("opens once", () => {
    const node = hopsOf("k")
    const seal = hopsOf("k").seal(hop, "ticket", "body")
    assert.isDefined(node.open(seal, "ticket", "body"))
    assert.isUndefined(node.open(seal, "ticket", "body"))
  })

  it("opens once in whatever order hops arrive, and not after 65,536 later ones", () => {
    const [from, to] = [hopsOf("k"), hopsOf("k")]
    const seals = Array.from({ length: 300 }, () => from.seal(hop, "ticket", ""))
    const shuffled = seals.map((seal, index) => ({ seal, order: (index * 7919) % 300 })).toSorted((a, b) =>
      a.order - b.order
    )
    for (const { seal } of shuffled) assert.isDefined(to.open(seal, "ticket", ""))
    for (const { seal } of shuffled) assert.isUndefined(to.open(seal, "ticket", ""))
    const late = from.seal(hop, "ticket", "")
    for (let number = 0; number < 65_536; number++) from.seal(hop, "ticket", "")
    assert.isDefined(to.open(from.seal(hop, "ticket", ""), "ticket", ""))
    assert.isUndefined(to.open(late, "ticket", ""))
  })
})
