/**
 * SessionRouter: finds the session of a gateway client if several processes act as one gateway.
 *
 * | layer                  | sessions are                               | needs                     |
 * | ---------------------- | ------------------------------------------ | ------------------------- |
 * | none (the default)     | in the process that answered `initialize`  | nothing                   |
 * | {@link layerSealed}    | in each process that a request reaches     | a shared key              |
 * | {@link layerCluster}   | on one node, to which all nodes forward    | that key and PostgreSQL   |
 *
 * **Details**
 *
 * With `layerSealed`, each process opens its own sessions at the servers for the same client. Use it for servers that keep their state elsewhere, such as an API with a
 * database. Servers cannot ask clients (sampling, elicitation, roots), because the answer may reach another process.
 *
 * With `layerCluster`, each session has one owner. `effect/cluster` assigns the owner with locks in PostgreSQL, and moves the sessions of a node that is gone. Any node
 * forwards requests to the owner over HTTP: calls, answers to servers, cancellations and streams. A call names the activation of its owner, so no other node runs it.
 * The database stores no data of calls.
 *
 * When an owner is lost, reads are repeated at the next owner. A tool call in flight at the lost owner fails with the code -32010, and its `data.reason` is
 * `OutcomeUnknown`. Streams continue with their subscriptions and log level. The next owner opens new sessions at the servers.
 *
 * **Gotchas**
 *
 * The nodes listen for each other at `host`: loopback, a private address, or with `tls` any. The same has to hold for the port of the cluster's
 * runners, which have no authentication of their own and are not checked here.
 *
 * **Example** (Two processes that take each request of a client)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Gateway, SessionRouter, Transports } from "@mcp-sessions/transports"
 * import { Context, Effect, Layer, Redacted } from "effect"
 * import { randomBytes } from "node:crypto"
 *
 * const sessionKey = Redacted.make(randomBytes(32))
 * const servers = { everything: { command: "mcp-server-everything", args: ["stdio"] } }
 * const gateway = Gateway.layer({ sessions: Sessions.layer({ servers }), sessionKey }).pipe(
 *   Layer.provide([Transports.layer, SessionRouter.layerSealed])
 * )
 *
 * const send = async (url, body, session) => {
 *   const headers = { "content-type": "application/json", accept: "application/json", ...(session && { "mcp-session-id": session }) }
 *   const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...body }) })
 *   return { session: response.headers.get("mcp-session-id"), body: await response.json() }
 * }
 *
 * const program = Effect.gen(function*() {
 *   const [first, second] = [yield* Layer.build(Layer.fresh(gateway)), yield* Layer.build(Layer.fresh(gateway))]
 *   const capabilities = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "app", version: "1" } }
 *   const { session } = yield* Effect.promise(() =>
 *     send(Context.get(first, Gateway.Gateway).url, { method: "initialize", params: capabilities })
 *   )
 *   const params = { name: "get-sum", arguments: { a: 2, b: 3 } }
 *   return yield* Effect.promise(() =>
 *     send(Context.get(second, Gateway.Gateway).url, { method: "tools/call", params }, session)
 *   )
 * })
 * const { body } = await Effect.runPromise(Effect.scoped(program))
 * body.result.content[0].text // => "The sum of 2 and 3 is 5."
 * ```
 *
 * @since 0.1.0
 */
import { ConfigError, type ConfigProblem, InvalidValue } from "@mcp-sessions/core/ConfigError"
import type { Sharding } from "effect/cluster/Sharding"
import type { ShardingConfig } from "effect/cluster/ShardingConfig"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { SqlClient } from "effect/sql/SqlClient"
import { type ClusterOptions, problemsOfCluster } from "./internal/fleet/clusterOptions.ts"
import { EndedSessions } from "./internal/fleet/endedSessions.ts"
import type { Routing, RoutingHost } from "./internal/fleet/routing.ts"
import { SealedRouter } from "./internal/fleet/sealedRouter.ts"
import { Tickets } from "./internal/fleet/ticket.ts"
import type { NodeTls } from "./internal/fleet/tls.ts"
import { LocalRouter } from "./internal/gateway/client/localRouter.ts"
import type { CannotListen } from "./internal/gateway/http/httpServer.ts"
import { SealedIds } from "./internal/gateway/protocol/sealedIds.ts"

export type { ClusterOptions, NodeTls }

type Make = (host: RoutingHost) => Effect.Effect<Routing, CannotListen, Scope.Scope>

interface Service {
  /** Whether sessions may be in other processes. */
  readonly isShared: boolean
  /** Finds the problems of the options of the router, and of the keys of the gateway. They are checked before `make`. */
  readonly problemsOf: (keys: ReadonlyArray<Redacted.Redacted<Uint8Array>>) => ReadonlyArray<ConfigProblem>
  readonly make: Make
}

/**
 * Reference to the router of a gateway, which the layers of this module provide. Default: sessions are in the process that made them.
 *
 * @category services
 * @since 0.1.0
 */
export const SessionRouter: Context.Reference<Service> = Context.Reference<Service>(
  "@mcp-sessions/transports/SessionRouter",
  {
    defaultValue: () => ({
      isShared: false,
      problemsOf: () => [],
      make: ({ clients, keys, route }) =>
        Effect.succeed({
          router: new LocalRouter({ clients, ids: new SealedIds({ keys, purpose: "session" }), route }),
          start: () => Effect.void,
          drain: Effect.void,
          isReady: () => true
        })
    })
  }
)

/** The problem of a router without a key that other processes can have too. */
const problemsOfKeys: Service["problemsOf"] = (keys) =>
  keys.length > 0
    ? []
    : [new InvalidValue({ path: ["sessionKey"], expected: "a key that all processes of the gateway share" })]

/**
 * Layer with which any process with the same `sessionKey` handles any request of a client. The processes do not communicate.
 *
 * The gateway fails with a `ConfigError` if it has no `sessionKey`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSealed: Layer.Layer<never> = Layer.succeed(SessionRouter, {
  isShared: true,
  problemsOf: problemsOfKeys,
  make: Effect.fnUntraced(function*({ clients, fork, keys, route, timeOfDay }) {
    const ids = new SealedIds({ keys, purpose: "session" })
    const tickets = new Tickets({ ids, route, now: timeOfDay })
    return {
      router: new SealedRouter({ clients, ended: new EndedSessions(timeOfDay), fork, tickets }),
      start: () => Effect.void,
      drain: Effect.void,
      isReady: () => true
    }
  })
})

/**
 * Checks the options of a node, as the gateway does at its start. For programs that use them before, such as `tls` for the runners of the cluster.
 * Fails with a `ConfigError` that holds all problems.
 *
 * @category running
 * @since 0.1.0
 */
export const checkCluster = (options: ClusterOptions): Effect.Effect<void, ConfigError> => {
  const [first, ...rest] = problemsOfCluster(options)
  return first === undefined ? Effect.void : Effect.fail(new ConfigError({ problems: [first, ...rest] }))
}

/**
 * Layer with which each session has one owner among the nodes of a cluster, and every node accepts every request.
 *
 * All nodes have the same `sessionKey`, `path` and servers. The gateway fails with a `ConfigError` if it has no `sessionKey` or if an option is
 * invalid, which holds the problems of its own options too, and with `ListenFailed` if the port for other nodes cannot be used. Its `/readyz`
 * answers 503 until the owners of all sessions are known.
 *
 * A request that arrives while its session has no owner waits for 15 seconds at most, or for 2 seconds if the database does not answer. Then it fails with the code -32010,
 * `data.reason` `NoOwner` and `data.delivery` `NotSent`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCluster = (
  options: ClusterOptions = {}
): Layer.Layer<never, never, Sharding | SqlClient> =>
  Layer.effect(
    SessionRouter,
    Effect.gen(function*() {
      // Gateways without a cluster start faster without these.
      const [{ makeCluster }, { clusterOwnership }] = yield* Effect.promise(() =>
        Promise.all([import("./internal/fleet/makeCluster.ts"), import("./internal/fleet/ownership.ts")])
      )
      const ownership = yield* clusterOwnership
      return {
        isShared: true,
        problemsOf: (keys) => [...problemsOfKeys(keys), ...problemsOfCluster(options)],
        make: (host: RoutingHost) => makeCluster({ options, host, ownership })
      }
    })
  )

/**
 * Settings of a cluster with which sessions move within seconds: within 10 s after a node crashed, and within 1 s after a node stopped. Each node sends one query to the
 * database every second. If the database is unavailable for longer than 7 s, no session has an owner until it is available again.
 *
 * @category settings
 * @since 0.1.0
 */
export const takeover = {
  shardLockExpiration: "7 seconds",
  shardLockRefreshInterval: "2 seconds",
  refreshAssignmentsInterval: "500 millis",
  runnerHealthCheckInterval: "1 second",
  entityTerminationTimeout: "5 seconds",
  simulateRemoteSerialization: false
} as const satisfies Partial<ShardingConfig["Service"]>
