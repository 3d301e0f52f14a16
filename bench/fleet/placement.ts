/**
 * Placement of sessions on the nodes of a fleet, without processes: the buckets of the router on the hash ring of `effect/cluster`.
 */
import { make as makeEntityId } from "effect/cluster/EntityId"
import { make as runnerAddress, type RunnerAddress } from "effect/cluster/RunnerAddress"
import * as Sharding from "effect/cluster/Sharding"
import * as TestRunner from "effect/cluster/TestRunner"
import * as Effect from "effect/Effect"
import * as HashRing from "effect/HashRing"
import * as Crypto from "node:crypto"
import { bucketCount, bucketOf } from "../../packages/transports/src/internal/fleet/buckets.ts"
import { table } from "../../tools/markdown.ts"

const shardsPerGroup = 300

/** Returns the number of the shard of an entity or a singleton, from 1. */
export const shards: Effect.Effect<(name: string) => number> = Effect.map(
  Sharding.Sharding,
  (sharding) => (name: string) => sharding.getShardId(makeEntityId(name), "default").id
).pipe(Effect.provide(TestRunner.layer))

/** Returns the owner of each shard. */
export const ownersOf = (runners: ReadonlyArray<RunnerAddress>): ReadonlyArray<RunnerAddress> => {
  const ring = HashRing.make<RunnerAddress>()
  for (const runner of runners) HashRing.add(ring, runner)
  return HashRing.getShards(ring, shardsPerGroup) ?? []
}

const count = (values: ReadonlyArray<number>, length: number): ReadonlyArray<number> => {
  const counts = Array.from({ length }, () => 0)
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return counts
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const sessionCount = 1_000_000

/** The table of fleets of several sizes with a million sessions of random names. */
export const placementTable: Effect.Effect<string> = Effect.map(shards, (shardOf) => {
  const names = Array.from({ length: sessionCount }, () => Crypto.randomUUID())
  const perBucket = count(names.map(bucketOf), bucketCount)
  const bucketOwners = (runners: ReadonlyArray<RunnerAddress>) => {
    const owners = ownersOf(runners)
    return perBucket.map((_, bucket) => owners[shardOf(String(bucket)) - 1])
  }
  const rows = [3, 10, 30, 100].map((nodes) => {
    const runners = Array.from(
      { length: nodes },
      (_, index) => runnerAddress(`10.0.${index >> 8}.${index & 255}`, 7401)
    )
    const owners = bucketOwners(runners)
    const shares = runners.map((runner) =>
      owners.reduce((sum, owner, bucket) => owner === runner ? sum + (perBucket[bucket] ?? 0) : sum, 0)
    )
    const moved = runners.map((leaving) => {
      const after = bucketOwners(runners.filter((runner) => runner !== leaving))
      return owners.reduce((sum, owner, bucket) => owner === after[bucket] ? sum : sum + (perBucket[bucket] ?? 0), 0)
    })
    const mean = moved.reduce((sum, one) => sum + one, 0) / nodes
    return [
      nodes,
      percent(1 / nodes),
      `${percent(Math.min(...shares) / sessionCount)} to ${percent(Math.max(...shares) / sessionCount)}`,
      `${percent(mean / sessionCount)}, ${percent(Math.max(...moved) / sessionCount)} at most`,
      (nodes * (nodes - 1)).toLocaleString("en"),
      `${nodes} to ${nodes * 4}`
    ]
  })
  return table([
    "nodes",
    "even share",
    "sessions of a node",
    "sessions that move when a node leaves",
    "connections of the cluster",
    "connections at the database"
  ], rows)
})
