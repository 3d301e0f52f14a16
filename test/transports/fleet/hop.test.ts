/**
 * Hops between nodes: only a node of the fleet can make one, and each is handled once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { createHash } from "node:crypto"
import { Hops } from "../../../packages/transports/src/internal/fleet/hop.ts"
import { SealedIds } from "../../../packages/transports/src/internal/gateway/protocol/sealedIds.ts"

const hopsOf = (key: string) =>
  new Hops(new SealedIds({ keys: [Redacted.make(Buffer.alloc(32, key))], purpose: "hop" }))

/** Reads a seal and takes its hop, as a node does. */
const open = (node: Hops, seal: string, ticket: string, body: string) => {
  const hop = node.read(seal)
  return hop !== undefined && node.take(hop, ticket, body) ? hop : undefined
}

const hop = { principal: "alice", activation: "a", method: "POST", isRepeated: false } as const

describe("a hop", () => {
  it("opens at another node with its ticket and its body", () => {
    const seal = hopsOf("k").seal(hop, "ticket", "body")
    assert.deepInclude(open(hopsOf("k"), seal, "ticket", "body"), hop)
  })

  it("does not open with another body, another ticket or another key", () => {
    const seal = hopsOf("k").seal(hop, "ticket", "body")
    assert.isUndefined(open(hopsOf("k"), seal, "ticket", "other"))
    assert.isUndefined(open(hopsOf("k"), seal, "other", "body"))
    assert.isUndefined(open(hopsOf("other"), seal, "ticket", "body"))
  })

  it("opens once", () => {
    const node = hopsOf("k")
    const seal = hopsOf("k").seal(hop, "ticket", "body")
    assert.isDefined(open(node, seal, "ticket", "body"))
    assert.isUndefined(open(node, seal, "ticket", "body"))
  })

  it("opens once in whatever order hops arrive", () => {
    const [from, to] = [hopsOf("k"), hopsOf("k")]
    const seals = Array.from({ length: 300 }, () => from.seal(hop, "ticket", ""))
    const shuffled = seals.map((seal, index) => ({ seal, order: (index * 7919) % 300 })).toSorted((a, b) =>
      a.order - b.order
    )
    for (const { seal } of shuffled) assert.isDefined(open(to, seal, "ticket", ""))
    for (const { seal } of shuffled) assert.isUndefined(open(to, seal, "ticket", ""))
  })

  it("opens from a node that has sent very many before, and not after 65,536 later ones", () => {
    const ids = new SealedIds({ keys: [Redacted.make(Buffer.alloc(32, "k"))], purpose: "hop" })
    const digest = createHash("sha256").update("ticket\nbody").digest("base64url")
    const sealed = (number: number) =>
      ids.seal(JSON.stringify({ ...hop, node: "old", number, digest }), { principal: "node", route: "hop" })
    const to = hopsOf("k")
    const many = 2 ** 52
    assert.isDefined(open(to, sealed(many), "ticket", "body"))
    assert.isDefined(open(to, sealed(many - 65_535), "ticket", "body"))
    assert.isUndefined(open(to, sealed(many - 65_536), "ticket", "body"))
    assert.isUndefined(open(to, sealed(many), "ticket", "body"))
  })

  it("opens once although 4,096 other nodes have sent hops since, and those of a node that sends none are forgotten", () => {
    const digest = createHash("sha256").update("ticket\nbody").digest("base64url")
    const to = hopsOf("k")
    const take = (node: string, number: number) => to.take({ ...hop, node, number, digest }, "ticket", "body")
    assert.isTrue(take("silent", 1))
    assert.isTrue(take("busy", 1))
    for (let other = 0; other < 4096; other++) {
      assert.isTrue(take(`other ${other}`, 1))
      if (other === 2000) assert.isTrue(take("busy", 2))
    }
    assert.isFalse(take("busy", 1))
    assert.isTrue(take("silent", 1))
  })
})
