/**
 * The listener of a node for hops of others.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { bucketOf } from "../../../packages/transports/src/internal/fleet/buckets.ts"
import { hopHeaders, Hops } from "../../../packages/transports/src/internal/fleet/hop.ts"
import { listen } from "../../../packages/transports/src/internal/fleet/nodeListener.ts"
import { OwnedBuckets } from "../../../packages/transports/src/internal/fleet/ownedBuckets.ts"
import { Stalls } from "../../../packages/transports/src/internal/fleet/stalls.ts"
import { Tickets } from "../../../packages/transports/src/internal/fleet/ticket.ts"
import type { ClientSession } from "../../../packages/transports/src/internal/gateway/client/clientSession.ts"
import { SealedIds } from "../../../packages/transports/src/internal/gateway/protocol/sealedIds.ts"
import { EventStreams } from "../../../packages/transports/src/internal/gateway/streams/eventStreams.ts"
import { makeFork } from "../../../packages/transports/src/internal/scopedFork.ts"
import { call, post } from "../../fixtures/gateway.ts"

const keys = [Redacted.make(Buffer.alloc(32, "k"))]

const session = { name: "one", principal: "alice", protocolVersion: "2025-11-25", capabilities: {} }

/** Sends a hop to a node whose parts fail, and gives the status. */
const statusOf = (parts: Partial<Parameters<typeof listen>[0]>) =>
  Effect.gen(function*() {
    const hops = new Hops(new SealedIds({ keys, purpose: "hop" }))
    const tickets = new Tickets({ ids: new SealedIds({ keys, purpose: "session" }), route: "/mcp", now: () => 0 })
    const owned = new OwnedBuckets(() => Effect.void)
    yield* owned.own(bucketOf(session.name), "activation")
    const stalls = yield* Effect.acquireRelease(
      Effect.sync(() => new Stalls(() => 0)),
      (stalls) => Effect.sync(() => stalls.stop())
    )
    const streams = yield* EventStreams.make(() => 0)
    const port = yield* listen({
      host: "127.0.0.1",
      port: 0,
      tls: undefined,
      hops,
      tickets,
      owned,
      stalls,
      streams,
      maxBodyBytes: 1024,
      sessionOf: () => Effect.succeed({ calls: new Map() } as ClientSession),
      endUnmade: () => false,
      onEnded: () => {},
      serve: () => {},
      fork: yield* makeFork,
      ...parts
    })
    const [ticket, body] = [tickets.seal(session), JSON.stringify(call(1, "count"))]
    const hop = { method: "POST", principal: "alice", activation: "activation", isRepeated: false } as const
    const headers = { [hopHeaders.seal]: hops.seal(hop, ticket, body), [hopHeaders.ticket]: ticket }
    const { status } = yield* post(`http://127.0.0.1:${port}`, body, { headers })
    // Time stands still, so this waits for ever if something is in flight.
    yield* Effect.provide(owned.drain, TestClock.layer())
    return status
  })

describe("a node", () => {
  it.live("answers a hop with 500 whose session cannot be made because of a defect", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* statusOf({ sessionOf: () => Effect.die("a fault") }), 500)
    }))

  it.live("answers a hop with 500 whose handler throws", () =>
    Effect.gen(function*() {
      const serve = () => {
        throw new Error("a fault")
      }
      assert.strictEqual(yield* statusOf({ serve }), 500)
    }))
})
