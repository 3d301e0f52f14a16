/**
 * Service that gives sessions of named MCP servers.
 *
 * **Details**
 *
 * Building the layer opens no connection. The first `get` of a server connects it; concurrent callers wait for that connection, and later
 * callers share it. An unused connection is closed after `idleTimeToLive`, and with the layer at the latest, all servers in parallel.
 *
 * Sessions are shared between callers with the same owner only (`Owner.CurrentOwner`). All owners of a server use its definition,
 * credentials included, unless a `credentials` provider gives each owner its own.
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
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ExecutionPlan } from "effect/ExecutionPlan"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SignInState } from "./Authorization.ts"
import { circuitDefault, type CircuitPolicy, type CircuitState } from "./Circuit.ts"
import type { CleanupReport } from "./Cleanup.ts"
import { ConfigError } from "./ConfigError.ts"
import type { ConnectionState } from "./ConnectionState.ts"
import type { CredentialsProvider } from "./Credentials.ts"
import {
  type AllServersFailed,
  type CurrentSession,
  fallbackDefault,
  type FallbackOptions,
  type FallbackPolicy
} from "./FallbackPolicy.ts"
import type * as Health from "./Health.ts"
import type { Host } from "./Host.ts"
import { BadOptions, checkBy } from "./internal/config/callOptions.ts"
import { checkedOwner, ownerOf } from "./internal/config/checkedOwner.ts"
import { checkPolicies } from "./internal/config/checkOptions.ts"
import { anything, fallbackRules, openRules, planRules } from "./internal/config/optionRules.ts"
import { resolveConfigs } from "./internal/config/resolveConfigs.ts"
import { load as loadFiles, type LoadOptions } from "./internal/configFile/load.ts"
import { type MemberConfiguration, membersOf } from "./internal/configFile/members.ts"
import type { ConfigurationProblem } from "./internal/configFile/model.ts"
import { logUncleanClose } from "./internal/connection/logUncleanClose.ts"
import * as executionPlan from "./internal/fallback/executionPlan.ts"
import * as failover from "./internal/fallback/failover.ts"
import * as monotonic from "./internal/monotonic.ts"
import { toolCalls } from "./internal/registry/callTool.ts"
import * as ejection from "./internal/registry/ejection.ts"
import { fallbackPortOf } from "./internal/registry/fallbackPortOf.ts"
import { openAll } from "./internal/registry/openAll.ts"
import * as registry from "./internal/registry/registry.ts"
import { attachRegistry } from "./internal/registry/registryOf.ts"
import type { NameOptions } from "./internal/registry/serverNames.ts"
import { signIn, signOut } from "./internal/registry/signIn.ts"
import * as status from "./internal/registry/status.ts"
import { guardTelemetry } from "./internal/telemetry/guard.ts"
import { isTraced } from "./internal/telemetry/spans.ts"
import type { CallToolResult } from "./Mcp.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as ServerConfig from "./ServerConfig.ts"
import type * as Session from "./Session.ts"
import { SessionError } from "./SessionError.ts"
import { attributes, spans } from "./Telemetry.ts"
import type { ServerMap, TypedSessions } from "./ToolTypes.ts"
import type { Transports } from "./Transport.ts"

/**
 * The owner that a session is used for. Default: `Owner.CurrentOwner`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OwnerOptions {
  /** The owner that the session is used for. Default: `Owner.CurrentOwner`. */
  readonly owner?: string | undefined
}

/**
 * Options of a dedicated connection. With `handshake: "manual"`, `initialize` makes the handshake; default: `"automatic"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenOptions extends OwnerOptions {
  /** Whether the program makes the handshake, with `initialize`. Default: `"automatic"`. */
  readonly handshake?: "automatic" | "manual" | undefined
}

/**
 * A connection before its handshake.
 *
 * @category models
 * @since 0.1.0
 */
export interface UninitializedSession {
  /** The name of the server. */
  readonly server: string
  /** Makes the handshake, unless it was made before, and gives the session. After a failure it can be run again. */
  readonly initialize: Effect.Effect<Session.Session, SessionError>
}

/**
 * Status of a server at one moment. `inFlight` counts the requests of all owners.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerStatus {
  /** The name of the server. */
  readonly server: string
  /** The health record, and whether it means healthy. */
  readonly health: Health.HealthReport
  /** The state of the circuit breaker. */
  readonly circuit: CircuitState
  /** Requests in flight, of all owners. */
  readonly inFlight: number
  /** Whether its definition says `disabled: true`. */
  readonly isDisabled: boolean
  /** Whether its definition says `stateless: true`, so that clients of a gateway share one session. */
  readonly isStateless: boolean
  /** How many requests may be in flight on one session, by its definition. */
  readonly maxInFlight: number
  /** How many requests may be in flight on all sessions of the server, by its definition. */
  readonly maxInFlightTotal: number
  /** The connections of all owners, in the order in which they were first used. */
  readonly connections: ReadonlyArray<{
    readonly owner: string
    readonly state: ConnectionState
    readonly inFlight: number
    readonly signIn: SignInState
  }>
}

/**
 * Service that gives sessions of named servers. Unless said otherwise, operations on a server fail with a `ConfigError` if its name is unknown
 * or the server is disabled.
 *
 * @category services
 * @since 0.1.0
 */
export class Sessions extends Context.Service<Sessions, {
  /** The names of all servers, disabled ones and those with problems included, in the order of the configuration. */
  readonly names: ReadonlyArray<string>
  /**
   * The problems of the configuration files: of servers, which fail with this error when they are used, of names that mean several servers, and
   * of whole files. Empty for definitions that the program gives.
   */
  readonly problems: ReadonlyArray<ConfigurationProblem>
  /** Gives a connected session for as long as the scope, shared with other callers of the same owner. */
  readonly get: (
    server: string,
    options?: OwnerOptions
  ) => Effect.Effect<Session.Session, SessionError | ConfigError, Scope.Scope>
  /**
   * Opens a session with a connection of its own, which closes with the scope: for servers that keep state for a session which others must not
   * change. With `handshake: "manual"`, gives the connection before its handshake.
   */
  readonly open: {
    (
      server: string,
      options: OpenOptions & { readonly handshake: "manual" }
    ): Effect.Effect<UninitializedSession, SessionError | ConfigError, Scope.Scope>
    (
      server: string,
      options?: OwnerOptions & { readonly handshake?: "automatic" | undefined }
    ): Effect.Effect<Session.Session, SessionError | ConfigError, Scope.Scope>
  }
  /** Uses a shared session for as long as `f` runs. */
  readonly use: <A, E, R>(
    server: string,
    f: (session: Session.Session) => Effect.Effect<A, E, R>,
    options?: OwnerOptions
  ) => Effect.Effect<A, E | SessionError | ConfigError, R>
  /** Calls a tool on a shared session. */
  readonly callTool: {
    <A>(
      server: string,
      tool: string,
      args: Record<string, unknown> | undefined,
      options: Session.TypedCallOptions<A> & OwnerOptions
    ): Effect.Effect<A, SessionError | ConfigError>
    (
      server: string,
      tool: string,
      args?: Record<string, unknown>,
      options?: Session.CallToolOptions & OwnerOptions
    ): Effect.Effect<CallToolResult, SessionError | ConfigError>
  }
  /** Runs an operation on a session of the first healthy server. If it fails, runs it on the next, if the delivery rule allows that. */
  readonly withFallback: <A, E, R>(
    options: FallbackOptions,
    operation: (session: Session.Session) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SessionError | ConfigError | AllServersFailed, R>
  /** Gives an `ExecutionPlan` over several servers, for programs that use `FallbackPolicy.CurrentSession`: in order, without hedging. */
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
   * Opens the shared sessions of all servers that are not disabled, for as long as the scope, and emits each outcome as soon as it is known.
   * Ends after the last outcome.
   */
  readonly openAll: (options?: OpenAllOptions) => Stream.Stream<Opened, OpenFailed | ConfigError, Scope.Scope>
  /** Drops the connections to a server; the next use connects again. */
  readonly restart: (server: string) => Effect.Effect<void, ConfigError>
  /**
   * Ejects a server: drops the connections to it once their requests have ended, and sends it nothing more. Connects and calls fail with
   * `ServerEjected` at once, for all owners, until `readmit`.
   */
  readonly eject: (server: string) => Effect.Effect<void, ConfigError>
  /** Readmits a server that was ejected; the next use connects again. */
  readonly readmit: (server: string) => Effect.Effect<void, ConfigError>
  /**
   * Signs an owner in to a server, through the `Authorization` service of the program: it may ask a user and take minutes. Fails with
   * `AuthRequired` without this service, if nobody can be asked, or if the sign-in was refused.
   */
  readonly signIn: (server: string, options?: OwnerOptions) => Effect.Effect<void, SessionError | ConfigError>
  /** Forgets the tokens of an owner for a server, and closes the connections of that owner once their requests have ended. */
  readonly signOut: (server: string, options?: OwnerOptions) => Effect.Effect<void, SessionError | ConfigError>
  /** Reads whether an owner is signed in to a server. Sends nothing. */
  readonly signInState: (server: string, options?: OwnerOptions) => Effect.Effect<SignInState, ConfigError>
  /** Reads the status of a server. Opens no connection; works for disabled servers too. */
  readonly status: (server: string) => Effect.Effect<ServerStatus, ConfigError>
  /** Emits the status of a server, and again when its health, its circuit, the state of a connection or a sign-in changes. */
  readonly statusChanges: (server: string) => Stream.Stream<ServerStatus, ConfigError>
}>()("@mcp-sessions/core/Sessions") {}

/**
 * Options of `openAll`. `strict`: the first failure closes all sessions and fails the stream with the errors of all servers. `best-effort`
 * (default): a failure is emitted, and the server is connected in the background.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenAllOptions extends OwnerOptions {
  /**
   * Whether one failure fails the stream (`strict`), or is emitted while the server is connected in the background.
   * Default: `"best-effort"`.
   */
  readonly mode?: "strict" | "best-effort" | undefined
}

/**
 * The outcome of opening one server.
 *
 * @category models
 * @since 0.1.0
 */
export type Opened =
  | { readonly _tag: "Usable"; readonly server: string; readonly session: Session.Session }
  | { readonly _tag: "Failed"; readonly server: string; readonly error: SessionError | ConfigError }

/**
 * Error of `openAll` in `strict` mode, with the errors of all servers that failed. The sessions of the others are closed.
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
 * Policies of sessions, for all servers of a layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policies {
  /** When connects and requests are retried, where that is safe. Default: `RetryPolicy.retryDefault`, 3 retries, 1 second apart. */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  /** When a connection is made again without a caller, for subscribers and after `openAll`. Default: `RetryPolicy.reconnectDefault`. */
  readonly reconnect?: RetryPolicy.RetryPolicy | undefined
  /** When a failing server is not called for a while. Default: `Circuit.circuitDefault`. */
  readonly circuit?: CircuitPolicy | undefined
  /** When fallback ejects a server and readmits it. Default: `FallbackPolicy.fallbackDefault`. */
  readonly fallback?: FallbackPolicy | undefined
  /** The credentials of each owner. Default: those of the definitions. */
  readonly credentials?: CredentialsProvider | undefined
  /**
   * Receives a report of each connection that was closed. Default: logs those that did not close cleanly. It may take 5 seconds
   * (`Cleanup.closeTimeout`). A failure of it is logged.
   */
  readonly onCleanup?: ((report: CleanupReport) => Effect.Effect<void>) | undefined
  /** Decides which commands definitions may start, for programs that take definitions from others. Default: any. */
  readonly allowCommand?: ServerConfig.AllowCommand | undefined
}

/**
 * Layer that provides {@link Sessions} for a set of servers. Validates the whole configuration, and opens no connection.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Policies & { readonly servers: Readonly<Record<string, ServerConfig.ServerConfigInput>> }
): Layer.Layer<Sessions, ConfigError, Transports> =>
  Layer.effect(
    Sessions,
    checkPolicies(options, { servers: anything }).pipe(
      Effect.andThen(Effect.suspend(() => ServerConfig.decodeServers(options))),
      Effect.flatMap((definitions) => make({ ...options, definitions }))
    )
  )

/**
 * Layer that provides {@link Sessions} for servers whose definitions hold `Config`s, such as URLs, tokens and limits of the environment. The
 * `ConfigProvider` is read once, when the layer is built.
 *
 * **Details**
 *
 * A `Config` may stand for any value, for a whole definition, and for all servers. Other values stay as they are. The layer fails with one
 * `ConfigError` that holds all settings that are missing or cannot be used, as `UnresolvedConfig`; otherwise with all problems of the definitions.
 *
 * **Example** (Reading a token and a limit from the environment)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Config, ConfigProvider, Effect, Layer } from "effect"
 *
 * const live = Sessions.layerConfig({
 *   servers: {
 *     search: {
 *       url: Config.String("SEARCH_URL"),
 *       headers: { "X-API-Key": Config.Redacted("SEARCH_KEY") },
 *       maxInFlight: Config.withDefault(Config.Int("SEARCH_MAX_IN_FLIGHT"), 16)
 *     }
 *   }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const environment = ConfigProvider.fromUnknown({ SEARCH_MAX_IN_FLIGHT: "many", SEARCH_KEY: "k" })
 * const program = Effect.map(Sessions.Sessions, ({ names }) => names).pipe(
 *   Effect.provide(live),
 *   Effect.provideService(ConfigProvider.ConfigProvider, environment)
 * )
 * const { problems } = await Effect.runPromise(Effect.flip(program))
 * problems.map(({ path, setting }) => [path.at(-1), setting]) // => [["url", "SEARCH_URL"], ["maxInFlight", "SEARCH_MAX_IN_FLIGHT"]]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Policies & { readonly servers: ServerConfig.ConfiguredServers }
): Layer.Layer<Sessions, ConfigError, Transports> =>
  Layer.unwrap(Effect.map(
    resolveConfigs(options.servers, ["servers"]),
    (servers) => layer({ ...options, servers: servers as Readonly<Record<string, ServerConfig.ServerConfigInput>> })
  ))

/**
 * Options of a layer that reads configuration files, which are those of `ConfigFile.load` and the policies.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions extends Policies, LoadOptions {}

/**
 * Layer that provides {@link Sessions} for the servers of a configuration that `ConfigFile.load` gave. A server with problems is in `names`, and
 * fails with its `ConfigError` when it is used. `client:name` and `file:name` find servers, too.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfiguration = (
  options: Policies & { readonly configuration: MemberConfiguration }
): Layer.Layer<Sessions, ConfigError, Transports> =>
  Layer.effect(
    Sessions,
    Effect.andThen(
      checkPolicies(options, { configuration: anything }),
      Effect.suspend(() => make({ ...options, ...membersOf(options) }))
    )
  )

/**
 * Layer that provides {@link Sessions} for the servers of configuration files: of one file, of several, or without a name of all that
 * `ConfigFile.load` finds.
 *
 * One bad entry does not keep the others from being used. It is in `names` and in `problems`, and fails with its `ConfigError` when it is used.
 * The layer fails where a file that you name cannot be read or parsed.
 *
 * **Example** (Using the file of an editor)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 * import { mkdtempSync, writeFileSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const file = join(mkdtempSync(join(tmpdir(), "config-")), ".mcp.json")
 * writeFileSync(file, `{ "mcpServers": { "bad": { "comand": "server" }, "far": { "url": "https://example.com/mcp" } } }`)
 *
 * const live = Sessions.layerFile(file).pipe(Layer.provide(Transports.layer))
 * const program = Effect.map(Sessions.Sessions, ({ names, problems }) => [names, problems.map(({ server }) => server)])
 * await Effect.runPromise(Effect.provide(program, live)) // => [["bad", "far"], ["bad"]]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFile = (
  file?: string | FileOptions
): Layer.Layer<Sessions, ConfigError, Transports | Host> => {
  const { files, input, trust, ...policies }: FileOptions = typeof file === "string" ? { files: [file] } : file ?? {}
  return Layer.unwrap(
    Effect.andThen(
      checkPolicies(policies),
      Effect.map(
        loadFiles({ files, input, trust }),
        (configuration) => layerConfiguration({ ...policies, configuration })
      )
    )
  )
}

/**
 * Makes the service for decoded definitions, for as long as the scope.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*(
  options: Policies & NameOptions & {
    readonly definitions: ReadonlyArray<ServerConfig.ServerDefinition>
    readonly problems?: ReadonlyArray<ConfigurationProblem> | undefined
  }
): Effect.fn.Return<Sessions["Service"], never, Transports | Scope.Scope> {
  const retry = monotonic.byMonotonicTime(options.retry ?? RetryPolicy.retryDefault)
  const fallback = options.fallback ?? fallbackDefault
  const members = yield* guardTelemetry(registry.make({
    ...options,
    retry,
    reconnect: monotonic.byMonotonicTime(options.reconnect ?? RetryPolicy.reconnectDefault),
    circuit: options.circuit ?? circuitDefault,
    fallback,
    credentials: options.credentials,
    onCleanup: options.onCleanup ?? logUncleanClose
  }))
  const getFor = Effect.fnUntraced(function*(server: string, options: OwnerOptions | undefined) {
    const core = yield* members.shared(server, yield* checkedOwner({ options, server }))
    yield* core.managed.acquire
    return yield* members.session(core)
  })

  // Programs take a session for each call, so a span is made only if spans are exported.
  const get: Sessions["Service"]["get"] = (server, options) =>
    Effect.withFiber((fiber) => {
      const session = getFor(server, options)
      return isTraced(fiber)
        ? guardTelemetry(
          Effect.withSpan(session, spans.get.name, { attributes: { [attributes.server.name]: server } })
        )
        : session
    })

  const open = Effect.fnUntraced(function*(server: string, options: OpenOptions | undefined) {
    const isManual = options?.handshake === "manual"
    const core = yield* members.open(server, yield* checkedOwner({ options, server, rules: openRules }), isManual)
    yield* core.managed.acquire
    const session = yield* members.session(core)
    return isManual ? { server, initialize: Effect.as(core.managed.initialize, session) } : session
  })

  const use: Sessions["Service"]["use"] = (server, f, options) =>
    Effect.scopedWith((scope) => Effect.flatMap(Scope.provide(get(server, options), scope), f))

  const port = fallbackPortOf(members, fallback)
  const sessions = Sessions.of({
    names: members.names,
    problems: options.problems ?? [],
    get,
    open: open as Sessions["Service"]["open"],
    use,
    callTool: toolCalls({ registry: members, use }) as Sessions["Service"]["callTool"],
    withFallback: (options, operation) => {
      const checked = checkBy(fallbackRules, options, { required: ["servers"] })
      return checked instanceof BadOptions ? Effect.fail(checked.error) : Effect.flatMap(
        ownerOf(checked),
        (owner) => failover.withFallback({ port, options: { ...checked, owner }, operation })
      )
    },
    fallbackPlan: (options) => {
      const checked = checkBy(planRules, options, { required: ["servers"] })
      return checked instanceof BadOptions
        ? Effect.fail(checked.error)
        : Effect.flatMap(ownerOf(checked), (owner) => executionPlan.make({ port, options: { ...checked, owner } }))
    },
    openAll: (options) => openAll({ registry: members, options, toError: (errors) => new OpenFailed({ errors }) }),
    restart: (server) =>
      Effect.flatMap(
        members.find(server),
        ({ cores }) => Effect.forEach(cores, ({ managed }) => managed.restart, { discard: true })
      ),
    eject: (server) => Effect.flatMap(members.find(server), ejection.eject),
    readmit: (server) => Effect.flatMap(members.find(server), ejection.readmit),
    signIn: (server, options) =>
      Effect.flatMap(checkedOwner({ options, server }), (owner) => signIn(members, server, owner)),
    signOut: (server, options) =>
      Effect.flatMap(checkedOwner({ options, server }), (owner) => signOut(members, server, owner)),
    signInState: (server, options) =>
      Effect.flatMap(
        Effect.all([members.find(server), checkedOwner({ options, server })]),
        ([member, owner]) => status.signInOf(member, owner, members.authorization)
      ),
    status: (server) =>
      Effect.flatMap(members.find(server), (member) => status.statusOf(member, members.authorization)),
    statusChanges: (server) =>
      Stream.unwrap(
        Effect.map(members.find(server), (member) => status.statusChanges(member, members.authorization))
      )
  })
  return attachRegistry(sessions, members)
})

/**
 * Types the tools of all servers: `Sessions.typed<Servers>(sessions)`. Returns the service itself.
 *
 * @see {@link TypedSessions}
 * @category combinators
 * @since 0.1.0
 */
export const typed = <Servers extends ServerMap<Servers>>(sessions: Sessions["Service"]): TypedSessions<Servers> =>
  sessions as unknown as TypedSessions<Servers>
