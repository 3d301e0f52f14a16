/**
 * Makes the router of a node: its listener for other nodes, its buckets, and the owners of other buckets.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { SealedIds } from "../gateway/protocol/sealedIds.ts"
import { Announcements } from "./announcements.ts"
import type { ClusterOptions } from "./clusterOptions.ts"
import { ClusterRouter } from "./clusterRouter.ts"
import { DatabaseProbe } from "./databaseProbe.ts"
import { EndedSessions } from "./endedSessions.ts"
import { Forwarding } from "./forward.ts"
import { Holds } from "./holds.ts"
import { Hops } from "./hop.ts"
import { listen } from "./nodeListener.ts"
import { OwnedBuckets } from "./ownedBuckets.ts"
import type { Ownership } from "./ownership.ts"
import type { Routing, RoutingHost } from "./routing.ts"
import { Stalls } from "./stalls.ts"
import { Tickets } from "./ticket.ts"
import { tlsOptions } from "./tls.ts"

export const makeCluster = Effect.fnUntraced(function*({ host: gateway, options, ownership }: {
  readonly options: ClusterOptions
  readonly host: RoutingHost
  readonly ownership: Ownership
}): Effect.fn.Return<Routing, never, Scope.Scope> {
  const { advertisedUrl, host = "127.0.0.1", port = 0 } = options
  const { clients, fork, keys, maxBodyBytes, now, route, streams, timeOfDay } = gateway
  const tls = options.tls === undefined ? undefined : tlsOptions(options.tls)
  const ids = new SealedIds({ keys, purpose: "session" })
  const tickets = new Tickets({ ids, route, now: timeOfDay })
  const hops = new Hops(new SealedIds({ keys, purpose: "hop" }))
  const owned = new OwnedBuckets((client) => clients.close(client))
  const holds = new Holds({
    database: new DatabaseProbe({ isReachable: ownership.isReachable, fork, now }),
    fork,
    onOwner: (activation) => announcements.meet(activation)
  })
  const forwarding = yield* Effect.acquireRelease(
    Effect.sync(() => new Forwarding({ hops, holds, tls })),
    (forwarding) => Effect.sync(() => forwarding.close())
  )
  const ended = new EndedSessions(timeOfDay)
  const announcements = new Announcements({
    node: hops.node,
    ended,
    forwarding,
    holds,
    fork,
    close: (name) =>
      Effect.suspend(() => {
        const client = clients.get(name)
        return client === undefined ? Effect.void : clients.close(client)
      })
  })
  const stalls = yield* Effect.acquireRelease(
    Effect.sync(() => new Stalls(now)),
    (stalls) => Effect.sync(() => stalls.stop())
  )
  const router = new ClusterRouter({
    clients,
    streams,
    fork,
    tickets,
    holds,
    owned,
    forwarding,
    ended,
    announcements,
    stalls,
    now
  })
  return {
    router,
    start: (serve) =>
      Effect.gen(function*() {
        const listening = yield* listen({
          host,
          port,
          tls,
          hops,
          tickets,
          owned,
          stalls,
          streams,
          maxBodyBytes,
          sessionOf: (session) => router.here(session),
          endUnmade: (session) => router.endUnmade(session),
          onEnded: (text) => announcements.take(text),
          serve,
          fork
        })
        const scheme = tls === undefined ? "http" : "https"
        const url = advertisedUrl ?? `${scheme}://${host.includes(":") ? `[${host}]` : host}:${listening}/`
        yield* holds.follow(yield* ownership.join({ id: hops.node, owned, url }))
        yield* Effect.forkScoped(announcements.follow)
      }),
    drain: owned.drain,
    isReady: () => holds.isWhole
  }
})
