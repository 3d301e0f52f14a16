/**
 * Gateway: one MCP endpoint for all servers of a `Sessions` layer. Any MCP client can use it unchanged.
 *
 * **Details**
 *
 * The gateway merges the tools, resources and prompts of all servers into one list each. With several servers, the names of tools and prompts begin with the
 * name of their server: `files_read`. Calls keep their progress and cancellation, and the gateway returns results and errors unchanged. It never sends a
 * call again that may have run: the call fails with the code -32010, and `data.reason` is `OutcomeUnknown`.
 *
 * Clients use streamable HTTP with a revision from 2024-11-05 to 2025-11-25, or with 2026-07-28.
 *
 * Each client has its own session at each server that it uses. That session ends with the session of the client. Clients of 2026-07-28 have no session: clients of
 * the same principal with the same capabilities share one session at a server. All clients share the session at a server whose definition sets
 * `stateless: true`. Requests of servers (sampling, elicitation, roots) go to the client that owns the session, and the server sees the capabilities of that
 * client.
 *
 * While a server is down, only its tools are missing. The gateway notifies clients when the lists of the server are available again.
 *
 * With a `RateLimiterStore` of `effect/persistence` in their context, gateways share the rate of each principal (`requestsPerSecond`), and their sessions share
 * the rates of servers. No request of a client waits for the store. While the store fails or takes more than 0.5 seconds, each gateway uses its own count. A
 * `CircuitBreakerStore` shares the circuits of servers.
 *
 * When the scope closes, the gateway refuses new sessions and new requests with 503, and waits for requests in flight for `drainTimeout` at most.
 * Then it ends streams, waits for the audit of the last records for `drainTimeout` at most, and closes the sessions at the servers.
 *
 * **Gotchas**
 *
 * The gateway provides the `ClientHandlers` of its sessions. Do not provide them to the `sessions` layer.
 *
 * **Example** (Serving two servers at one URL)
 *
 * ```ts import.meta.vitest
 * import { Mcp, Sessions } from "@mcp-sessions/core"
 * import { Gateway, Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const everything = { command: "mcp-server-everything", args: ["stdio"] }
 * const gateway = Gateway.layer({
 *   sessions: Sessions.layer({ servers: { first: everything, second: everything } }),
 *   // Both have the same resources.
 *   resources: ["first"]
 * })
 *
 * // Any client of the protocol can use the URL. This one is another session.
 * const program = Effect.gen(function*() {
 *   const { url } = yield* Gateway.Gateway
 *   const client = Sessions.layer({ servers: { gateway: { url } } })
 *   return yield* Effect.provide(
 *     Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("gateway", "second_get-sum", { a: 2, b: 3 })),
 *     client
 *   )
 * })
 *
 * const live = Layer.provideMerge(gateway, Transports.layer)
 * Mcp.text(await Effect.runPromise(Effect.provide(program, live))) // => "The sum of 2 and 3 is 5."
 * ```
 *
 * @since 0.1.0
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as HealthWatch from "@mcp-sessions/core/HealthWatch"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { JwtAlgorithm, JwtOptions } from "./internal/accessTokens/jwtOptions.ts"
import { gatewayPage, pageRecorder } from "./internal/dashboard/gatewayPage.ts"
import type { PageServer } from "./internal/dashboard/pageServer.ts"
import { keep as keepNumbers } from "./internal/exactNumbers.ts"
import { whenIdle } from "./internal/gateway/admission/whenIdle.ts"
import { makeAuthentication } from "./internal/gateway/authentication.ts"
import type { AuditRecord, Recorder, RefusalRecord, UseRecord } from "./internal/gateway/call/audit.ts"
import { openAuditQueue } from "./internal/gateway/call/auditQueue.ts"
import { Dispatcher } from "./internal/gateway/call/dispatcher.ts"
import { askingClients } from "./internal/gateway/client/askingClients.ts"
import { attend, prepare } from "./internal/gateway/client/attend.ts"
import { listChanged } from "./internal/gateway/client/changedLists.ts"
import { Clients } from "./internal/gateway/client/clients.ts"
import { Tasks } from "./internal/gateway/client/tasks.ts"
import { Upstreams } from "./internal/gateway/client/upstreams.ts"
import { type Permits, WaitingCalls } from "./internal/gateway/client/waitingCalls.ts"
import { Endpoint } from "./internal/gateway/endpoint/endpoint.ts"
import { listen } from "./internal/gateway/endpoint/listener.ts"
import { serveStdio as stdio } from "./internal/gateway/endpoint/stdioEndpoint.ts"
import { followLists } from "./internal/gateway/followLists.ts"
import {
  type GatewayLimits,
  type GatewayOptions,
  type ReadOptions,
  readOptions
} from "./internal/gateway/gatewayOptions.ts"
import type { CannotListen } from "./internal/gateway/http/httpServer.ts"
import { withOnePrincipal } from "./internal/gateway/onePrincipal.ts"
import { openQuotas } from "./internal/gateway/openQuotas.ts"
import { SealedIds } from "./internal/gateway/protocol/sealedIds.ts"
import { routes } from "./internal/gateway/routes.ts"
import { EventStreams } from "./internal/gateway/streams/eventStreams.ts"
import { ListenFailed } from "./internal/listenFailed.ts"
import { readTimeOfDay } from "./internal/oauth/timeOfDay.ts"
import { makeFork } from "./internal/scopedFork.ts"
import { keysOf } from "./internal/unknownKeys.ts"
import { SessionRouter } from "./SessionRouter.ts"

export type { AuditRecord, GatewayLimits, GatewayOptions, JwtAlgorithm, JwtOptions, RefusalRecord, UseRecord }

export { ListenFailed }

/** How many collisions a message names. */
const shownCollisions = 5

const Place = Schema.Struct({ server: Schema.String, name: Schema.String })

/**
 * Two servers have tools or prompts with the same name, or resources or templates with the same URI. Each entry of `collisions` has the name or URI, and both places.
 * The option `resources` selects the servers whose resources are offered; `exclude` leaves out tools.
 *
 * @category errors
 * @since 0.1.0
 */
export class NameCollision
  extends Schema.TaggedError<NameCollision>("@mcp-sessions/transports/Gateway/NameCollision")("NameCollision", {
    collisions: Schema.Array(Schema.Struct({
      kind: Schema.Literals(["tool", "prompt", "resource", "resource template"]),
      name: Schema.String,
      first: Place,
      second: Place
    }))
  })
{
  override get message(): string {
    const shown = this.collisions.slice(0, shownCollisions).map(({ first, kind, name, second }) =>
      `the ${kind} ${JSON.stringify(first.name)} of the server ${JSON.stringify(first.server)} and the ${kind} ` +
      `${JSON.stringify(second.name)} of the server ${JSON.stringify(second.server)} ${
        kind === "tool" || kind === "prompt" ? `would both be called ${JSON.stringify(name)}` : "have the same URI"
      }`
    )
    const others = this.collisions.length - shown.length
    return [...shown, ...(others > 0 ? [`and ${others} more`] : [])].join("\n")
  }
}

/**
 * Service that describes a listening gateway.
 *
 * @category services
 * @since 0.1.0
 */
export class Gateway extends Context.Service<Gateway, {
  /** The URL of the endpoint. */
  readonly url: string
  /** The port that it listens on. */
  readonly port: number
  /** The number of client sessions. */
  readonly clients: Effect.Effect<number>
}>()("@mcp-sessions/transports/Gateway") {}

/**
 * Options of a gateway.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E, R> extends GatewayOptions {
  /** The layer of the sessions. The gateway builds it and provides its own client handlers. */
  readonly sessions: Layer.Layer<Sessions, E, R>
}

const serverInfo = { name: "mcp-sessions", version: "0.1.0" }

/** The owners of the sessions that follow lists, and of those that clients share. Owners of clients have a space. */
const owners = { lists: "gateway", shared: "gateway-shared" }

/** Makes what all endpoints need, for as long as the scope. */
const makeParts = Effect.fnUntraced(function*<E, R>(
  options: Options<E, R>,
  { read, recorderOf, route }: {
    readonly read: ReadOptions
    readonly route: string
    /** Gives what takes all records, from what takes those of the audit. */
    readonly recorderOf: (record: Recorder | undefined) => Recorder | undefined
  }
) {
  // Of results and errors, until the process ends: `rpc.ts` encodes them.
  keepNumbers()
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope

  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const quotas = yield* openQuotas(read, now)
  const timeOfDay = yield* readTimeOfDay
  const streams = yield* EventStreams.make(timeOfDay)
  const tasks = new Tasks({ keys: read.sessionKeys, route, limits: read.limits, timeOfDay })
  const found: { clients?: Clients; permits?: ReadonlyMap<string, Permits> } = {}
  const clientOf = (owner: string) => found.clients?.ofOwner(owner)
  const waiting = new WaitingCalls({ limits: read.limits, permitsOf: (server) => found.permits?.get(server) })
  const built = yield* Layer.build(askingClients(options.sessions, { catalogOwner: owners.lists, clientOf, waiting }))
  const sessions = Context.get(built, Sessions)
  const followed = yield* followLists({ sessions, options, owners, startTimeout: read.startTimeout })
  const { catalog, collisions, isStateless, open, servers, shared } = followed
  if (collisions.length > 0) return yield* new NameCollision({ collisions })
  found.permits = followed.permits

  // The last records are of calls that end with the sessions of clients, which are closed by then.
  const { audit } = options
  const record = recorderOf(audit && (yield* openAuditQueue({ audit, drainTimeout: read.drainTimeout })))
  // The work of the gateway ends before the sessions that it uses, and after its clients are gone.
  const fork = yield* makeFork

  const clients = new Clients({
    catalog,
    quotas,
    streams,
    tasks,
    now,
    scope: yield* Scope.fork(scope, "parallel"),
    idleTimeToLive: Duration.toMillis(read.idleTimeToLive),
    upstreams: (client) =>
      new Upstreams({
        shared,
        open: (server) => sessions.open(server, { owner: client.owner }),
        scope: client.scope,
        prepare: (session) => prepare(client, session),
        attend: (session) => attend(client, session)
      })
  })
  found.clients = clients
  yield* Effect.forkScoped(clients.sweep)
  yield* Effect.forkScoped(clients.linger)
  const removeListener = catalog.onChange((list) => {
    for (const client of clients) client.send(listChanged(list))
  })
  const idle = whenIdle(quotas, read.drainTimeout)
  const close = Effect.gen(function*() {
    removeListener()
    yield* clients.closeAll
    streams.close()
  })
  const dispatcher = new Dispatcher({ fork, now, record })
  return {
    catalog,
    clients,
    dispatcher,
    close,
    fork,
    idle,
    isStateless,
    now,
    open,
    quotas,
    record,
    servers,
    sessions,
    streams,
    tasks,
    timeOfDay
  }
})

/** Makes the page of a gateway if the option `ui` is on. */
const makePage = <E, R>(
  parts: Effect.Success<ReturnType<typeof makeParts<E, R>>>,
  { isShared, options, read }: {
    readonly options: Options<E, R>
    readonly read: ReadOptions
    readonly isShared: boolean
  }
): PageServer | undefined =>
  options.ui === true
    ? gatewayPage({
      ...parts,
      read,
      isShared,
      onUrl: options.onPageUrl,
      owners,
      watch: (watched) =>
        HealthWatch.watch({ ...watched, open: parts.open }).pipe(
          Effect.scoped,
          Effect.provideService(Sessions, parts.sessions)
        )
    })
    : undefined

const listenFailed = ({ code, host, port }: CannotListen) => Effect.fail(new ListenFailed({ host, port, code }))

const make = Effect.fnUntraced(function*<E, R>(
  options: Options<E, R>
): Effect.fn.Return<Gateway["Service"], E | ConfigError | ListenFailed | NameCollision, R | Scope.Scope> {
  const { isShared, make: makeRouting, problemsOf } = yield* SessionRouter
  const read = yield* readOptions(options, { problemsOfRouter: problemsOf })
  const found: { page: PageServer | undefined } = { page: undefined }
  const parts = yield* makeParts(options, {
    read,
    route: read.path,
    recorderOf: (record) => options.ui === true ? pageRecorder(() => found.page, record) : record
  })
  const { catalog, clients, close, dispatcher, fork, idle, isStateless, now, quotas, streams, tasks } = parts
  const page = found.page = makePage(parts, { options, read, isShared })
  const routing = yield* makeRouting({
    clients,
    streams,
    fork,
    now,
    route: read.path,
    timeOfDay: parts.timeOfDay,
    keys: read.sessionKeys,
    maxBodyBytes: read.limits.maxBodyBytes
  }).pipe(Effect.catchTag("CannotListen", listenFailed))
  if (!routing.router.hasOwners) tasks.disable()
  const endpoint = new Endpoint({
    route: read.path,
    catalog,
    dispatcher,
    quotas,
    router: routing.router,
    isStateless,
    streams,
    tasks,
    states: new SealedIds({ keys: read.sessionKeys, purpose: "requestState" }),
    serverInfo,
    maxBodyBytes: read.limits.maxBodyBytes,
    fork
  })
  const name = read.host.includes(":") ? `[${read.host}]` : read.host
  const urlOf = (port: number) => `http://${name}:${port}${read.path}`
  const authenticationOf = yield* makeAuthentication({ read, record: parts.record, fork, now })
  const { port, refuseConnections } = yield* listen({
    host: read.host,
    port: read.port,
    serve: (port) => {
      const { admission, metadata } = authenticationOf(urlOf(port))
      return {
        admission,
        routeOf: routes({ endpoint, path: read.path, isReady: routing.isReady, metadata, page, fork })
      }
    }
  }).pipe(Effect.catchTag("CannotListen", listenFailed))
  yield* routing.start((client, exchange) => endpoint.serve(client, exchange)).pipe(
    Effect.catchTag("CannotListen", listenFailed)
  )
  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      // Connections are taken until the end of the drain, so that `/readyz` says that the gateway stops.
      endpoint.isDraining = true
      page?.feed.close()
      // Other nodes need the sessions of this one until its own requests are over: those may wait for the other nodes.
      yield* idle
      yield* refuseConnections
      yield* routing.drain
      yield* close
    })
  )
  page?.start({ origin: new URL(read.publicUrl ?? urlOf(port)).origin, port })
  return Gateway.of({
    url: urlOf(port),
    port,
    clients: Effect.sync(() => clients.size)
  })
})

/**
 * Layer that listens, and serves the servers of `sessions` to clients. Fails with `NameCollision` if items of two servers have the same name or URI, with `ListenFailed` if
 * the port cannot be used, and with a `ConfigError` that has all problems of the options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(
  options: Options<E, R>
): Layer.Layer<Gateway, E | ConfigError | ListenFailed | NameCollision, R> => Layer.effect(Gateway, make(options))

/**
 * Options of a gateway on standard streams.
 *
 * @category models
 * @since 0.1.0
 */
export interface StdioOptions<E, R> extends
  Pick<
    Options<E, R>,
    "audit" | "drainTimeout" | "exclude" | "include" | "prefix" | "resources" | "servers" | "sessions" | "startTimeout"
  >
{}

const stdioKeys = keysOf<StdioOptions<never, never>>({
  audit: true,
  drainTimeout: true,
  exclude: true,
  include: true,
  prefix: true,
  resources: true,
  servers: true,
  sessions: true,
  startTimeout: true
})

/**
 * Serves the servers of `sessions` to one client of any revision on stdin and stdout, until the input ends. Requests in flight then have
 * `drainTimeout` to end, unless the client has closed stdout. Nothing else may write to stdout while it runs.
 *
 * A line may have 4 Mi characters, and 1,024 requests may be in flight. While the client leaves 1 MiB unread, its input waits; at 16 MiB it ends.
 *
 * @category running
 * @since 0.1.0
 */
export const serveStdio = <E, R>(
  options: StdioOptions<E, R>
): Effect.Effect<void, E | ConfigError | NameCollision, Exclude<R, Scope.Scope>> =>
  Effect.scoped(Effect.gen(function*() {
    const read = withOnePrincipal(yield* readOptions(options, { known: stdioKeys }))
    const route = "stdio"
    const parts = yield* makeParts(options, { read, route, recorderOf: (record) => record })
    yield* stdio({
      ...parts,
      route,
      states: new SealedIds({ keys: [], purpose: "requestState" }),
      serverInfo,
      maxLineLength: read.limits.maxBodyBytes
    })
  }))
