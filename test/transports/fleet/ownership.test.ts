/**
 * Buckets as entities of a cluster.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Stream } from "effect"
import { TestRunner } from "effect/cluster"
import { OwnedBuckets } from "../../../packages/transports/src/internal/fleet/ownedBuckets.ts"
import { clusterOwnership, holdLimit } from "../../../packages/transports/src/internal/fleet/ownership.ts"
import { until } from "../../fixtures/peer.ts"
import * as Postgres from "../../fixtures/postgres.ts"

describe.skipIf(!Postgres.isRunning)(`a bucket${Postgres.reason}`, () => {
  it.live("refuses more holds than it may have, with a typed error, and goes on with the others", () =>
    Effect.gen(function*() {
      const ownership = yield* clusterOwnership
      const owned = new OwnedBuckets(() => Effect.void)
      const hold = yield* ownership.join({ id: "node", owned, url: "http://127.0.0.1:1/" })
      const held: Array<string> = []
      const holding = yield* Effect.forEach(Array.from({ length: holdLimit }), () =>
        Effect.forkChild(
          Stream.runForEach(Stream.orDie(hold(7)), ({ id }) => Effect.sync(() => held.push(id)))
        ))
      yield* until(() => held.length, (count) => count === holdLimit)
      assert.lengthOf(new Set(held), 1)
      const exit = yield* Effect.exit(Stream.runHead(Stream.orDie(hold(7))))
      assert.deepInclude(Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit, { _tag: "MailboxFull" })
      assert.isTrue(holding.every((fiber) => fiber.pollUnsafe() === undefined))
      assert.isTrue(owned.has(7))
    }).pipe(Effect.provide(Layer.merge(TestRunner.layer, Postgres.layer({ maxConnections: 1 })))))
})
