/**
 * Cluster: the runners of the nodes of a gateway, which find each other and agree on the owners of sessions by locks in PostgreSQL.
 *
 * With certificates, runners take connections only of runners that show one of the same authority. A runner has no other authentication.
 */
import * as NodeClusterSocket from "@effect/platform-node/NodeClusterSocket"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SessionRouter from "@mcp-sessions/transports/SessionRouter"
import * as MessageStorage from "effect/cluster/MessageStorage"
import { make as runnerAddress } from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SocketRunner from "effect/cluster/SocketRunner"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import { Socket } from "effect/socket/Socket"
import type { SocketServerError } from "effect/socket/SocketServer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { boundedLayer } from "./boundedLayer.ts"
import { advertisedUrlOf, type ClusterNode } from "./clusterNode.ts"

/** How many connections a node has to the database, and how long it waits for one. */
const databaseLimits = { maxConnections: 4, connectTimeout: "2 seconds" } as const

/**
 * How long the cluster may take to give up what it owns. It does so in several steps, each of which may wait for the database as long as
 * `shardLockRefreshInterval`. The locks end with the connections of the process anyway.
 */
const endTimeout = "10 seconds"

/** Connects to other runners, with the certificate of this one. */
const tlsClients = ({ ca, cert, key }: SessionRouter.NodeTls) =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.gen(function*() {
      const serialization = yield* RpcSerialization.RpcSerialization
      return {
        codecFor: serialization.codecFor,
        make: Effect.fnUntraced(function*({ host, port }) {
          const socket = yield* NodeSocket.makeTls({
            openTimeout: "1 second",
            timeout: 5500,
            host,
            port,
            ca,
            cert,
            key: Redacted.value(key)
          })
          return yield* RpcClient.makeProtocolSocket().pipe(
            Effect.provideService(Socket, socket),
            Effect.provideService(RpcSerialization.RpcSerialization, serialization)
          )
        }, Effect.orDie)
      }
    })
  )

/** Layer of the router of a node, with its cluster. */
export const layer = (node: ClusterNode): Layer.Layer<never, SqlError | SocketServerError> => {
  const { advertisedHost, database, host, insecureNetwork, port, runnerPort, tls } = node
  const clients = tls === undefined ? NodeClusterSocket.layerClientProtocol : tlsClients(tls)
  const listening = { host, port: runnerPort }
  const server = tls === undefined ? NodeSocketServer.layer(listening) : NodeSocketServer.layerTls({
    ...listening,
    ca: tls.ca,
    cert: tls.cert,
    key: Redacted.value(tls.key),
    requestCert: true,
    rejectUnauthorized: true
  })
  const health = RunnerHealth.layerPing.pipe(Layer.provide(Runners.layerRpc), Layer.provide(clients))
  const cluster = SocketRunner.layer.pipe(
    Layer.provide([server, clients, health]),
    // Nothing of a call is stored.
    Layer.provide(MessageStorage.layerNoop),
    Layer.provide(SqlRunnerStorage.layer),
    Layer.provide(ShardingConfig.layer({
      ...SessionRouter.takeover,
      runnerAddress: Option.some(runnerAddress(advertisedHost, runnerPort)),
      runnerListenAddress: Option.some(runnerAddress(host, runnerPort))
    })),
    Layer.provide(RpcSerialization.layerSchemaBinary())
  )
  const router = SessionRouter.layerCluster({
    host,
    port,
    advertisedUrl: advertisedUrlOf(node),
    tls,
    insecureNetwork
  })
  // The cluster takes a database that does not answer for a defect.
  const answering = Layer.effectDiscard(Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1`)).pipe(
    Layer.provideMerge(PgClient.layer({ url: database, ...databaseLimits }))
  )
  const bounded = boundedLayer(Layer.provideMerge(cluster, answering), {
    limit: endTimeout,
    warning: "the cluster did not end in time; its locks end with the process"
  })
  return router.pipe(Layer.provide(bounded))
}
