/**
 * Named MCP servers: the service through which programs take sessions.
 *
 * **Details**
 *
 * Nothing is connected when the layer is built. The first `get` of a server connects it; all who ask while it is
 * connecting wait for that one connection, and all who ask later share it. It stays for `idleTimeToLive` after the last
 * user has gone, and is released with the layer at the latest, all servers in parallel.
 *
 * Sessions are shared between callers of the same `owner` only. An owner stands for an identity, such as a tenant or a
 * user: nothing that a server keeps for the connection of one is seen by another. All owners of a server use its one
 * definition, credentials included. Programs that act for one identity need not name it.
 *
 * **Example** (Calling a tool)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   const everything = yield* sessions.get("everything")
 *   return yield* everything.callTool("get-sum", { a: 2, b: 3 })
 * }).pipe(Effect.scoped)
 *
 * const live = Sessions.layer({
 *   servers: {
 *     everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] }
 *   }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const result = await Effect.runPromise(Effect.provide(program, live))
 * result.content // => [{ type: "text", text: "The sum of 2 and 3 is 5." }]
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type { ExecutionPlan } from "effect/ExecutionPlan"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as RcMap from "effect/RcMap"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { circuitDefault, type CircuitPolicy, type CircuitState } from "./Circuit.ts"
import type { CleanupReport } from "./Cleanup.ts"
import { ConfigError, DisabledServer, UnknownServer } from "./ConfigError.ts"
import type { CredentialsProvider } from "./Credentials.ts"
import {
  type AllServersFailed,
  type CurrentSession,
  fallbackDefault,
  type FallbackOptions,
  type FallbackPolicy
} from "./Fallback.ts"
import * as Health from "./Health.ts"
import { checkPolicies } from "./internal/config/checkOptions.ts"
import type { ServerState } from "./internal/connection/managedConnection.ts"
import * as fallback from "./internal/fallback/failover.ts"
import * as standing from "./internal/fallback/outlierDetection.ts"
import * as identities from "./internal/registry/identity.ts"
import type { Trace } from "./internal/request/toolLedger.ts"
import { Permits } from "./internal/server/bulkhead.ts"
import * as circuits from "./internal/server/circuitBreaker.ts"
import * as pace from "./internal/server/rateLimit.ts"
import { RetryBudget } from "./internal/server/retryBudget.ts"
import { ClientSession } from "./internal/session/clientSession.ts"
import * as sessionCore from "./internal/session/sessionCore.ts"
import * as telemetry from "./internal/telemetry.ts"
import { using } from "./internal/using.ts"
import type { CallToolResult } from "./Mcp.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as ServerConfig from "./ServerConfig.ts"
import type * as Session from "./Session.ts"
import { CredentialsFailed, SessionError } from "./SessionError.ts"
import { Transport, Transports } from "./Transport.ts"

/**
 * For whom a session is taken. Default owner: one per layer, named `default`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OwnerOptions {
  readonly owner?: string | undefined
}

/**
 * How a session is taken. `shared: false` gives one with a connection of its own, which ends with the scope; default: `true`.
 * `initialize: false` gives a connected session whose handshake is up to the caller; it is never shared; default: `true`.
 *
 * @category models
 * @since 0.1.0
 */
export interface GetOptions extends OwnerOptions {
  readonly shared?: boolean | undefined
  readonly initialize?: boolean | undefined
}

/**
 * Service that gives sessions of named servers.
 *
 * @category services
 * @since 0.1.0
 */
export class Sessions extends Context.Service<Sessions, {
  /** The names of all servers, disabled ones included, in the order of the configuration. */
  readonly names: ReadonlyArray<string>
  /**
   * Takes a session for as long as the scope: shared with other callers of the same owner, connected, initialized.
   * Fails with a `ConfigError` if the name is unknown or the server disabled.
   */
  readonly get: (
    server: string,
    options?: GetOptions
  ) => Effect.Effect<Session.Session, SessionError | ConfigError, Scope.Scope>
  /** Takes a session for as long as `f` runs. */
  readonly use: <A, E, R>(
    server: string,
    f: (session: Session.Session) => Effect.Effect<A, E, R>,
    options?: GetOptions
  ) => Effect.Effect<A, E | SessionError | ConfigError, R>
  /** Takes a session for as long as one tool call. */
  readonly callTool: (
    server: string,
    tool: string,
    args?: Record<string, unknown>,
    options?: Session.CallToolOptions & OwnerOptions
  ) => Effect.Effect<CallToolResult, SessionError | ConfigError>
  /**
   * Runs an operation on a session of the first of several servers that is fit for it, and where the delivery rule allows that, on
   * one of the next.
   */
  readonly withFallback: <A, E, R>(
    options: FallbackOptions,
    operation: (session: Session.Session) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SessionError | ConfigError | AllServersFailed, R>
  /** The same as a plan, for programs on `Fallback.CurrentSession`: in the order of the servers, without hedging. */
  readonly fallbackPlan: (options: Pick<FallbackOptions, "owner" | "retry" | "servers">) => Effect.Effect<
    ExecutionPlan<{
      provides: CurrentSession
      input: unknown
      error: SessionError | ConfigError
      requirements: never
    }>,
    ConfigError
  >
  /**
   * Who an owner is at a server: equal (`Equal.equals`) for as long as its credentials are the same. Shows no secret.
   */
  readonly identity: (server: string, options?: OwnerOptions) => Effect.Effect<Identity, SessionError | ConfigError>
  /**
   * Opens all servers that are not disabled, for as long as the scope, and tells of each as soon as it is usable or has failed;
   * the stream ends after the last. None waits for another.
   */
  readonly openAll: (options?: OpenAllOptions) => Effect.Effect<Stream.Stream<Opened, OpenFailed>, never, Scope.Scope>
  /** Lets go of the connections to a server; the next use makes others. Also for one that waits for credentials. */
  readonly restart: (server: string) => Effect.Effect<void, ConfigError>
  /** What connects and calls have shown of a server up to now. Connects nothing. */
  readonly health: (server: string) => Effect.Effect<Health.HealthReport, ConfigError>
  /** The same as it is, and again when `isHealthy` or `errorCount` change. */
  readonly healthChanges: (server: string) => Stream.Stream<Health.HealthReport, ConfigError>
  /** Whether a server is left alone after failures in a row, and until when. */
  readonly circuit: (server: string) => Effect.Effect<CircuitState, ConfigError>
}>()("@mcp-sessions/core/Sessions") {}

/**
 * How all sessions are opened. `strict`: a server that cannot be had is a failure of the whole. `best-effort` (the default): it
 * is reported, and tried again in the background.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenAllOptions extends OwnerOptions {
  readonly mode?: "strict" | "best-effort" | undefined
}

/**
 * What became of opening one server.
 *
 * @category models
 * @since 0.1.0
 */
export type Opened =
  | { readonly _tag: "Usable"; readonly server: string; readonly session: Session.Session }
  | { readonly _tag: "Failed"; readonly server: string; readonly error: SessionError | ConfigError }

/**
 * Not all servers could be opened, though all had to be. Those that were have been given back.
 *
 * @category errors
 * @since 0.1.0
 */
export class OpenFailed extends Schema.TaggedError<OpenFailed>("@mcp-sessions/core/OpenFailed")("OpenFailed", {
  errors: Schema.Array(Schema.Union([SessionError, ConfigError]))
}) {
  override get message(): string {
    return this.errors.map(({ message }) => message).join("\n")
  }
}

/**
 * Who a session is opened as. Two are equal if owner, server and credentials are the same.
 *
 * @category models
 * @since 0.1.0
 */
export type Identity = identities.Identity

/**
 * Layer that provides {@link Sessions} for a set of servers. Building it validates the whole configuration and connects
 * nothing.
 *
 * `retry` paces connects and requests that may safely be sent again; default: 3 tries, 1 second apart. `reconnect` paces
 * connections that are to be there although nobody calls (for those who listen, and after `openAll`); default:
 * `RetryPolicy.reconnectDefault`. `circuit` is when a failing server is left alone; default: `Circuit.circuitDefault`. `fallback` is when
 * one that was passed over is used again; default: `Fallback.fallbackDefault`. `credentials` gives each owner its own; default: those of the definitions.
 * `onCleanup` gets a report of each connection that was closed; default: what did not close well is logged. `allowCommand` decides which programs definitions may start, for applications that take definitions from others; default: any.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  readonly servers: Readonly<Record<string, ServerConfig.ServerConfigInput>>
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  readonly reconnect?: RetryPolicy.RetryPolicy | undefined
  readonly circuit?: CircuitPolicy | undefined
  readonly fallback?: FallbackPolicy | undefined
  readonly credentials?: CredentialsProvider | undefined
  readonly onCleanup?: ((report: CleanupReport) => Effect.Effect<void>) | undefined
  readonly allowCommand?: ServerConfig.AllowCommand | undefined
}): Layer.Layer<Sessions, ConfigError, Transports> =>
  Layer.effect(
    Sessions,
    Effect.flatMap(Effect.andThen(checkPolicies(options), ServerConfig.decodeServers(options)), (definitions) =>
      make({
        definitions,
        retry: options.retry ?? RetryPolicy.retryDefault,
        reconnect: options.reconnect ?? RetryPolicy.reconnectDefault,
        circuit: options.circuit ?? circuitDefault,
        fallback: options.fallback ?? fallbackDefault,
        credentials: options.credentials,
        onCleanup: options.onCleanup ?? logFailure
      }))
  )

/** A failed lookup would otherwise be remembered for as long as what it was to find. Whoever leaves early has not failed. */
const forgetFailure = <A, E, R>(lookup: Effect.Effect<A, E, R>, forget: Effect.Effect<void>) =>
  Effect.tapCause(lookup, (cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : forget)

const placeOf = ({ owner, server }: { readonly owner: string; readonly server: string }): string =>
  JSON.stringify([owner, server])

/** What goes wrong when a connection is closed is not kept from those who do not ask for it. */
const logFailure = ({ cause, outcome, server }: CleanupReport): Effect.Effect<void> =>
  outcome === "closed"
    ? Effect.void
    : Effect.logWarning(`the connection to ${server} was not closed well (${outcome})`, cause)

/** How long a provider of credentials may take when a connection waits for them. */
const credentialsPatience = Duration.seconds(10)

/** How many processes are started at once, and for how long a start counts as one. */
const startsAtOnce = 4
const startTime = "1 second"

const make = Effect.fnUntraced(function*(options: {
  readonly definitions: ReadonlyArray<ServerConfig.ServerDefinition>
  readonly retry: RetryPolicy.RetryPolicy
  readonly reconnect: RetryPolicy.RetryPolicy
  readonly circuit: CircuitPolicy
  readonly fallback: FallbackPolicy
  readonly credentials: CredentialsProvider | undefined
  readonly onCleanup: (report: CleanupReport) => Effect.Effect<void>
}): Effect.fn.Return<Sessions["Service"], never, Transports | Scope.Scope> {
  const { credentials, onCleanup, reconnect, retry } = options
  const circuitOf = yield* circuits.make(options.circuit)
  const paceOf = yield* pace.make
  const transports = yield* Transports
  const context = yield* Effect.context<never>()
  const scope = yield* Effect.scope
  const names = options.definitions.map(({ name }) => name)
  const servers = new Map(options.definitions.map((definition) => {
    const { config, name } = definition
    const memory: ServerState = {
      health: Health.unknown,
      budget: new RetryBudget(),
      circuit: circuitOf(name),
      places: new Permits(config.maxInFlightTotal),
      pace: paceOf(definition),
      counts: telemetry.noCounts(),
      watchers: new Set()
    }
    return [name, {
      server: name,
      definition,
      memory,
      standing: standing.make({ policy: options.fallback, reconnect, scope, context }),
      /** All that lead to it, whoever owns them. */
      opened: new Set<sessionCore.SessionCore>()
    }]
  }))

  yield* Effect.forEach(
    servers.values(),
    ({ memory: { counts, places }, server }) => telemetry.register({ server, counts, inFlight: () => places.used }),
    { discard: true }
  )

  const find = (server: string) =>
    Effect.suspend(() => {
      const found = servers.get(server)
      return found === undefined
        ? Effect.fail(new ConfigError({ problems: [new UnknownServer({ server, path: [], validNames: names })] }))
        : Effect.succeed(found)
    })

  const findEnabled = (server: string) =>
    Effect.filterOrFail(
      find(server),
      ({ definition }) => !definition.config.disabled,
      () => new ConfigError({ problems: [new DisabledServer({ server, path: [] })] })
    )

  const identify = (server: string, owner: string) =>
    Effect.flatMap(
      findEnabled(server),
      ({ definition }) =>
        identities.identify({
          owner,
          definition,
          provider: credentials,
          known: credentials === undefined ? undefined : latest.get(placeOf({ owner, server }))
        })
    )

  // One for each definition as it holds for someone: what it keeps (a pool of sockets, what was learnt of the era) is of the server,
  // and without credentials of owners that is the same for all.
  const built = yield* RcMap.make({
    lookup: ({ definition }: identities.Identified) =>
      Effect.map(
        Layer.build(Layer.fresh(transports.transport(definition))),
        (services) => Context.get(services, Transport)
      )
  })

  const transportOf = ({ definition, identity }: identities.Identified) => {
    const endpoint = new identities.Identified(identity.endpoint, definition)
    return forgetFailure(RcMap.get(built, endpoint), RcMap.invalidate(built, endpoint))
  }

  /** Connects as whom the owner is by then: a connection may be wanted long after the session was taken. */
  const connectAs = (options: {
    readonly identified: identities.Identified
    readonly transport: Transport["Service"]
    readonly onIdentity: (identity: Identity) => void
  }): Transport["Service"] => {
    const { identified, onIdentity, transport } = options
    const { definition: { config }, identity: { owner, server } } = identified
    if (credentials === undefined) return transport
    const unidentified = (error: SessionError | ConfigError) =>
      error._tag === "SessionError" ? error.reason : new CredentialsFailed({ owner, cause: error })
    const identity = Effect.mapError(identify(server, owner), unidentified).pipe(
      // It is not the server that takes its time.
      Effect.timeoutOrElse({
        duration: Duration.min(credentialsPatience, Duration.times(config.connectTimeout, 0.5)),
        orElse: () => Effect.fail(new CredentialsFailed({ owner }))
      })
    )
    return {
      connect: Effect.flatMap(identity, (now) => {
        onIdentity(now.identity)
        if (Equal.equals(now, identified)) return transport.connect
        // Whoever comes as who the owner was gets another one.
        const forgotten = Effect.forkIn(RcMap.invalidate(managedByKey, identified), scope, { startImmediately: true })
        return Effect.andThen(
          forgotten,
          Effect.flatMap(Effect.mapError(transportOf(now), unidentified), ({ connect }) => connect)
        )
      })
    }
  }

  /** A managed in a scope, in the context of this layer and of no caller. */
  const open = Effect.fnUntraced(function*(
    identified: identities.Identified,
    initialize: boolean,
    scope: Scope.Scope
  ) {
    const { definition, identity } = identified
    const { memory, opened } = yield* findEnabled(identity.server)
    let current = identity
    const onIdentity = (identity: Identity) => {
      current = identity
    }
    return yield* transportOf(identified).pipe(
      Effect.flatMap((transport) =>
        sessionCore.make({
          definition,
          owner: identity.owner,
          identity: () => current,
          transport: connectAs({ identified, transport, onIdentity }),
          memory,
          retry,
          reconnect,
          onCleanup,
          initialize
        })
      ),
      Effect.tap((made) =>
        Effect.acquireRelease(
          Effect.sync(() => opened.add(made)),
          () => Effect.sync(() => opened.delete(made))
        )
      ),
      Scope.provide(scope),
      Effect.updateContext((_: Context.Context<never>) => context)
    )
  })

  // The entries of an RcMap are closed one after another, but many servers should not take longer to leave than the
  // slowest does. So each managed lives in a scope of its own below one that closes its children in parallel.
  const managedByKey = yield* RcMap.make({
    lookup: (key: identities.Identified) =>
      Effect.gen(function*() {
        const scope = Scope.forkUnsafe(all)
        yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (latest.get(placeOf(key.identity)) === key) latest.delete(placeOf(key.identity))
          })
        )
        return yield* open(key, true, scope)
      }),
    idleTimeToLive: ({ identity: { server } }) => servers.get(server)?.definition.config.idleTimeToLive ?? 0
  })
  const all = yield* Scope.make("parallel")
  yield* Effect.addFinalizer((exit) => Scope.close(all, exit))

  /** Where owners have credentials of their own: who each of them was the last time. */
  const latest = new Map<string, identities.Identified>()

  const slotOf = (server: string, owner: string): Effect.Effect<identities.Identified, SessionError | ConfigError> =>
    credentials === undefined ? identify(server, owner) : Effect.flatMap(identify(server, owner), (key) => {
      const place = placeOf(key.identity)
      const before = latest.get(place)
      if (before !== undefined && Equal.equals(before, key)) return Effect.succeed(before)
      latest.set(place, key)
      // Who uses it goes on with what it has. Nobody else comes to it, and it ends with the last of them.
      return before === undefined
        ? Effect.succeed(key)
        : Effect.as(Effect.forkIn(RcMap.invalidate(managedByKey, before), scope, { startImmediately: true }), key)
    })

  const sharedBy = (server: string, owner: string) =>
    Effect.flatMap(
      slotOf(server, owner),
      (key) => forgetFailure(RcMap.get(managedByKey, key), RcMap.invalidate(managedByKey, key))
    )

  /** A handle that is valid for as long as the scope. */
  const handle = Effect.fnUntraced(function*(
    handled: sessionCore.SessionCore,
    options?: { readonly retry: RetryPolicy.RetryPolicy; readonly trace: Trace }
  ): Effect.fn.Return<Session.Session, never, Scope.Scope> {
    const ended = Deferred.makeUnsafe<void>()
    yield* Effect.addFinalizer(() => Deferred.succeed(ended, undefined))
    return new ClientSession({ shared: handled, retry, ...options, ended })
  })

  /** A managed of one's own. It ends with the scope, and with all others at the latest. */
  const own = Effect.fnUntraced(function*(server: string, owner: string, initialize: boolean) {
    const identified = yield* identify(server, owner)
    const scope = yield* Effect.acquireRelease(
      Effect.sync(() => Scope.forkUnsafe(all)),
      (scope, exit) => Scope.close(scope, exit)
    )
    return yield* open(identified, initialize, scope)
  })

  const taken = Effect.fnUntraced(function*(
    server: string,
    { initialize = true, owner = "default", shared = true }: GetOptions
  ): Effect.fn.Return<Session.Session, SessionError | ConfigError, Scope.Scope> {
    const made = shared && initialize
      ? yield* sharedBy(server, owner)
      : yield* own(server, owner, initialize)
    yield* made.managed.acquire
    return yield* handle(made)
  })

  // Programs take a session for each call, so this is no span unless someone looks at it.
  const get: Sessions["Service"]["get"] = (server, options = {}) =>
    Effect.withFiber((fiber) => {
      const session = taken(server, options)
      if (!telemetry.isTraced(fiber)) return session
      return Effect.withSpan(session, "Sessions.get", { attributes: { "mcp.server": server } })
    })

  const use: Sessions["Service"]["use"] = (server, f, options) => using({ acquire: get(server, options), use: f })

  const { plan, withFallback } = fallback.make({
    panicWindow: options.fallback.panicWindow,
    find: findEnabled,
    take: ({ owner, retry, server, trace }) =>
      Effect.flatMap(sharedBy(server, owner), (made) => handle(made, { retry, trace }))
  })

  const openAll = Effect.fnUntraced(function*(
    { mode = "best-effort", owner = "default" }: OpenAllOptions = {}
  ): Effect.fn.Return<Stream.Stream<Opened, OpenFailed>, never, Scope.Scope> {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const enabled = [...servers.values()].map(({ definition }) => definition).filter(({ config }) => !config.disabled)
    const found = yield* Queue.unbounded<Opened, OpenFailed | Cause.Done>()
    const starts = yield* Semaphore.make(startsAtOnce)

    const openOne = Effect.fnUntraced(function*({ config, name: server }: ServerConfig.ServerDefinition) {
      const made = yield* sharedBy(server, owner)
      const { acquire, keepAlive } = made.managed
      const connecting = yield* Effect.forkScoped(acquire)
      // The start of a process is what costs; one that never gets ready must not keep others from theirs.
      const started = Effect.timeoutOption(Fiber.await(connecting), startTime)
      yield* config.transport === "stdio" ? starts.withPermits(1)(started) : started
      const exit = yield* Effect.exit(Fiber.join(connecting))
      if (mode === "best-effort") yield* keepAlive
      return yield* Effect.as(exit, yield* handle(made))
    })

    const opening = Effect.forEach(
      enabled,
      (definition) =>
        Effect.matchEffect(Scope.provide(openOne(definition), scope), {
          onSuccess: (session) =>
            Effect.as(Queue.offer(found, { _tag: "Usable", server: definition.name, session }), []),
          onFailure: (error) =>
            Effect.as(Queue.offer(found, { _tag: "Failed", server: definition.name, error }), [error])
        }),
      { concurrency: "unbounded" }
    )

    yield* opening.pipe(
      Effect.flatMap((outcomes) => {
        const errors = outcomes.flat()
        if (mode === "best-effort" || errors.length === 0) return Queue.end(found)
        const forget = ({ name }: ServerConfig.ServerDefinition) =>
          Effect.ignore(Effect.flatMap(slotOf(name, owner), (key) => RcMap.invalidate(managedByKey, key)))
        return Scope.close(scope, Exit.void).pipe(
          Effect.andThen(Effect.forEach(enabled, forget, { concurrency: "unbounded" })),
          Effect.andThen(Queue.fail(found, new OpenFailed({ errors })))
        )
      }),
      // A defect, too, is told: who reads would wait for ever.
      Effect.onError((cause) => Queue.failCause(found, cause)),
      Effect.forkScoped({ startImmediately: true })
    )
    return Stream.fromQueue(found)
  })

  const readHealth = (server: string) =>
    Effect.map(
      Effect.all([find(server), Clock.currentTimeMillis]),
      ([{ memory }, now]) => Health.report({ health: memory.health, now })
    )

  const healthChanges = (server: string): Stream.Stream<Health.HealthReport, ConfigError> =>
    Stream.unwrap(Effect.gen(function*() {
      const { memory } = yield* find(server)
      const changed = yield* Queue.sliding<void>(1)
      const watcher = () => void Queue.offerUnsafe(changed, undefined)
      yield* Effect.acquireRelease(
        Effect.sync(() => memory.watchers.add(watcher)),
        () => Effect.sync(() => memory.watchers.delete(watcher))
      )
      /** A reading ages by itself. */
      const stale = Effect.flatMap(
        readHealth(server),
        ({ isHealthy }) => isHealthy ? Effect.sleep(Duration.sum(Health.staleAfter, Duration.millis(1))) : Effect.never
      )
      const next = Effect.andThen(Effect.raceFirst(Queue.take(changed), stale), readHealth(server))
      return Stream.fromEffect(readHealth(server)).pipe(
        Stream.concat(Stream.fromEffectRepeat(next)),
        Stream.changesWith((left, right) => left.isHealthy === right.isHealthy && left.errorCount === right.errorCount)
      )
    }))

  return Sessions.of({
    names,
    get,
    use,
    withFallback,
    fallbackPlan: plan,
    identity: (server, options) =>
      Effect.map(identify(server, options?.owner ?? "default"), ({ identity }) => identity),
    openAll,
    restart: (server) =>
      Effect.flatMap(
        find(server),
        ({ opened }) => Effect.forEach(opened, ({ managed }) => managed.restart, { discard: true })
      ),
    healthChanges,
    circuit: (server) => Effect.flatMap(find(server), ({ memory }) => memory.circuit.state),
    callTool: (server, tool, args, options) =>
      use(server, (session) => session.callTool(tool, args, options), { owner: options?.owner }),
    health: readHealth
  })
})
