/**
 * Ownership: who owns a bucket, as an entity of `effect/cluster`. The cluster keeps one owner for each by locks in a database, and moves a bucket
 * when its owner is gone. It carries no calls: nodes send those to the owner by HTTP.
 *
 * Each time a bucket gets an owner is an activation, with a random id. A call names the activation that it is for, so an owner before or after
 * does not run it.
 */
import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import type { Sharding } from "effect/cluster/Sharding"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import type { OwnedBuckets } from "./ownedBuckets.ts"

/** An owner of a bucket, and the URL at which it takes exchanges. */
export const Activation = Schema.Struct({ id: Schema.String, url: Schema.String })

export type Activation = typeof Activation.Type

/** A bucket. `Hold` emits its activation, and goes on until the owner gives it up. */
export const Bucket = Entity.make("mcp-sessions/Bucket", [
  Rpc.make("Hold", { success: Activation, stream: true }).annotate(ClusterSchema.InterruptOnTermination, true)
])

/** Layer by which this node owns buckets. */
export const layer = ({ owned, url }: {
  readonly owned: OwnedBuckets
  readonly url: string
}): Layer.Layer<never, never, Sharding> =>
  Bucket.toLayer(
    Effect.gen(function*() {
      const { entityId } = yield* Entity.CurrentAddress
      const id = Crypto.randomUUID()
      yield* owned.own(Number(entityId), id)
      return Bucket.of({ Hold: () => Stream.concat(Stream.succeed({ id, url }), Stream.never) })
    }),
    { concurrency: "unbounded", maxIdleTime: Number.POSITIVE_INFINITY, mailboxCapacity: "unbounded" }
  )
