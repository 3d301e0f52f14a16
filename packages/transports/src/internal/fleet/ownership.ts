/**
 * Ownership: who owns a bucket, as an entity of `effect/cluster`. The cluster keeps one owner for each by locks in a database, and moves a bucket
 * when its owner is gone. It carries no calls: nodes send those to the owner by HTTP.
 *
 * Each time a bucket gets an owner is an activation, with a random id. A call names the activation that it is for, so an owner before or after
 * does not run it.
 */
import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import * as Sharding from "effect/cluster/Sharding"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import type { OwnedBuckets } from "./ownedBuckets.ts"

/** An owner of a bucket: the id of the activation, that of the node, and the URL at which it takes exchanges. */
const Activation = Schema.Struct({ id: Schema.String, node: Schema.String, url: Schema.String })

export type Activation = typeof Activation.Type

/** A bucket. `Hold` emits its activation, and ends when the owner releases the bucket. */
const Bucket = Entity.make("mcp-sessions/Bucket", [
  Rpc.make("Hold", { success: Activation, stream: true }).annotate(ClusterSchema.InterruptOnTermination, true)
])

/** A node, as others reach it. */
interface Node {
  /** Tells it from another process at the URL. */
  readonly id: string
  readonly owned: OwnedBuckets
  readonly url: string
}

/** Decides who owns each bucket. */
export interface Ownership {
  /** Lets a node own buckets until the scope closes. Returns what emits the activation of a bucket for as long as it has it. */
  readonly join: (node: Node) => Effect.Effect<
    (bucket: number) => Stream.Stream<Activation, unknown>,
    never,
    Scope.Scope
  >
  /** Whether its database answers. */
  readonly isReachable: Effect.Effect<boolean>
}

/** How many holds of a bucket may be open at its owner. Each other node has one, and for a moment a second one. More are refused with `MailboxFull`. */
export const holdLimit = 1024

/** How long the database may take to answer. */
const databaseTimeout = "700 millis"

/** Layer by which a node owns buckets. */
const layer = ({ id: node, owned, url }: Node): Layer.Layer<never, never, Sharding.Sharding> =>
  Bucket.toLayer(
    Effect.gen(function*() {
      const { entityId } = yield* Entity.CurrentAddress
      const id = Crypto.randomUUID()
      yield* owned.own(Number(entityId), id)
      return Bucket.of({ Hold: () => Stream.concat(Stream.succeed({ id, node, url }), Stream.never) })
    }),
    { concurrency: "unbounded", maxIdleTime: Number.POSITIVE_INFINITY, mailboxCapacity: holdLimit }
  )

/** Ownership by the locks of the cluster of the context. */
export const clusterOwnership: Effect.Effect<Ownership, never, Sharding.Sharding | SqlClient.SqlClient> = Effect.gen(
  function*() {
    const sharding = yield* Sharding.Sharding
    const sql = yield* SqlClient.SqlClient
    return {
      join: (node) =>
        Effect.gen(function*() {
          yield* Layer.build(layer(node)).pipe(Effect.provideService(Sharding.Sharding, sharding))
          const client = yield* sharding.makeClient(Bucket)
          return (bucket) => client(`${bucket}`).Hold()
        }),
      isReachable: sql`SELECT 1`.pipe(Effect.timeout(databaseTimeout), Effect.isSuccess)
    }
  }
)
