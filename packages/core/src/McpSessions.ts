/**
 * Promise facade: the sessions of named servers for plain TypeScript, with promises, `await using` and `AbortSignal`.
 *
 * Programs without Effect import the `McpSessions` module of `@mcp-sessions/transports`, whose `open` needs no Layer. `make` is for
 * those that swap the transports, for example in tests.
 *
 * **Details**
 *
 * Rejections are the typed errors of the Effect API: `ConfigError`, `SessionError` with its `reason`, and those of fallback and pools.
 * An aborted signal cancels the request on the server too, and rejects with a `SessionError` whose reason is `Cancelled`: `delivery`
 * says whether the request had been sent, `cause` is the reason of the signal.
 *
 * Nothing is thrown: misuse rejects with a `ConfigError` before anything is sent. Closing rejects what is still running with what became of
 * it: `SessionClosed` where nothing was sent, `OutcomeUnknown` for a tool call that was, and a reason with the delivery `Unknown` for any
 * other request. A session that an operation of `withFallback` or `use` received ends with the operation, and its calls with it.
 *
 * The interfaces are derived from those of `Session`, `Sessions` and `SessionPool`: a method that returns an effect returns a promise
 * here, and a stream is an async iterable.
 *
 * **Example** (Calling a tool)
 *
 * ```ts import.meta.vitest
 * import { Mcp, McpSessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 *
 * await using sessions = McpSessions.make({
 *   transports: Transports.layer,
 *   servers: {
 *     everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] }
 *   }
 * })
 * const result = await sessions.callTool("everything", "echo", { message: "hi" })
 * Mcp.text(result) // => "Echo: hi"
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ConfigError } from "./ConfigError.ts"
import { AllServersFailed, type FallbackOptions } from "./FallbackPolicy.ts"
import type { Host } from "./Host.ts"
import { BadOptions, type Checked, type Rules } from "./internal/config/callOptions.ts"
import type { ConfigurationProblem } from "./internal/configFile/model.ts"
import { checkedLayer } from "./internal/facade/checkedLayer.ts"
import { effectOptions, rules } from "./internal/facade/effectOptions.ts"
import { fileLayerOptions, type FileOptions } from "./internal/facade/fileOptions.ts"
import { OpenResources } from "./internal/facade/openResources.ts"
import type { PlainHandlers, PlainOrigin } from "./internal/facade/plainHandlers.ts"
import { layerOptions, type Options, type PlainCredentials } from "./internal/facade/plainOptions.ts"
import { parentOf, type PlainTelemetry } from "./internal/facade/plainTelemetry.ts"
import {
  catalogOptions,
  type McpTools,
  type PlainInterceptor,
  toolsOf,
  type ToolsOptions,
  toolsRules
} from "./internal/facade/plainTools.ts"
import { promiseCall, rejected } from "./internal/facade/promiseCall.ts"
import type {
  Plain,
  Promised,
  PromisedMember,
  RetryOptions,
  Signal,
  SignalOptions,
  TimeSpan
} from "./internal/facade/promised.ts"
import {
  acquire,
  type Closeable,
  closeable,
  make as makeRuntime,
  type PromiseRuntime
} from "./internal/facade/promiseRuntime.ts"
import { notClosed, promiseSessions } from "./internal/facade/promiseSessions.ts"
import { startCall } from "./internal/registry/directCall.ts"
import { registryOf } from "./internal/registry/registryOf.ts"
import { make as makePool, type McpPool, type PoolOptions } from "./McpPool.ts"
import type {
  McpSession,
  McpUninitializedSession,
  OpenSessionOptions,
  PromisedCall,
  StandardCallOptions
} from "./McpSession.ts"
import { SessionError } from "./SessionError.ts"
import * as SessionPool from "./SessionPool.ts"
import * as Sessions from "./Sessions.ts"
import * as ToolCatalog from "./ToolCatalog.ts"
import { ToolError, ToolNameCollision } from "./ToolError.ts"
import type { ServerMap, TypedMcpSessions } from "./ToolTypes.ts"
import type { Transports } from "./Transport.ts"

export type {
  Closeable,
  FileOptions,
  McpPool,
  McpSession,
  McpTools,
  McpUninitializedSession,
  OpenSessionOptions,
  Options,
  Plain,
  PlainCredentials,
  PlainHandlers,
  PlainInterceptor,
  PlainOrigin,
  PlainTelemetry,
  PoolOptions,
  Promised,
  RetryOptions,
  Signal,
  SignalOptions,
  StandardCallOptions,
  TimeSpan,
  ToolsOptions
}

/**
 * {@link Sessions.Sessions} in promises. Closing it closes every connection, process and server-side session.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpSessions extends Closeable {
  /** The names of all servers, disabled ones included, in the order of the configuration. */
  readonly names: ReadonlyArray<string>
  /** The problems of configuration files. Empty for definitions that the program gives. */
  readonly problems: ReadonlyArray<ConfigurationProblem>
  /** Takes a session that is shared with other callers of its owner. It is valid until it is closed. */
  readonly get: (server: string, options?: Sessions.OwnerOptions & SignalOptions) => Promise<McpSession>
  /** Opens a session with a connection of its own. */
  readonly open: {
    (server: string, options?: OpenSessionOptions<"automatic">): Promise<McpSession>
    (server: string, options: OpenSessionOptions<"manual">): Promise<McpUninitializedSession>
  }
  /** Takes a session for one tool call; with a `schema`, gives the validated structured content of the result. */
  readonly callTool: PromisedCall<[server: string], Sessions.OwnerOptions>
  /**
   * Offers the tools of servers to a language model. Make one for an owner and keep it: it holds the connections of its servers until it is
   * closed.
   */
  readonly tools: (options?: ToolsOptions & SignalOptions) => Promise<McpTools>
  /**
   * Runs an operation on a session of the first of several servers that is fit for it; if that fails and moving on is safe, on a
   * session of the next. The session is valid until the operation ends. Only tools that are called on this session count for the
   * decision whether the operation may move on.
   */
  readonly withFallback: <A>(
    options: Plain<FallbackOptions> & SignalOptions,
    operation: (session: McpSession) => Promise<A>
  ) => Promise<A>
  /** Makes a pool of sessions. It is valid until it is closed. */
  readonly pool: (options: PoolOptions) => Promise<McpPool>
  /** Reads the status of a server. Opens no connection. */
  readonly status: PromisedMember<Sessions.Sessions["Service"]["status"]>
  /** Signs an owner in to a server, which may ask a user and take minutes. */
  readonly signIn: PromisedMember<Sessions.Sessions["Service"]["signIn"]>
  /** Forgets the tokens of an owner for a server, and closes the connections of that owner once their requests have ended. */
  readonly signOut: PromisedMember<Sessions.Sessions["Service"]["signOut"]>
  /** Reads whether an owner is signed in to a server. */
  readonly signInState: PromisedMember<Sessions.Sessions["Service"]["signInState"]>
  /** Closes the connections to a server once their requests have ended; the next use makes new ones. */
  readonly restart: PromisedMember<Sessions.Sessions["Service"]["restart"]>
  /**
   * Ejects a server: closes the connections to it once their requests have ended, and sends it nothing more. Connects and calls reject with
   * `ServerEjected` at once, for all owners, until `readmit`.
   */
  readonly eject: PromisedMember<Sessions.Sessions["Service"]["eject"]>
  /** Readmits a server that was ejected; the next use connects again. */
  readonly readmit: PromisedMember<Sessions.Sessions["Service"]["readmit"]>
}

type Failure =
  | SessionError
  | ConfigError
  | AllServersFailed
  | SessionPool.AcquireTimeout
  | Sessions.OpenFailed
  | ToolError
  | ToolNameCollision

/**
 * Returns whether a value is a {@link SessionError}, the error of all operations on sessions.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSessionError: (value: unknown) => value is SessionError = Schema.is(SessionError)

/**
 * Returns whether a value is a {@link ConfigError}, which holds all problems of a configuration.
 *
 * @category guards
 * @since 0.1.0
 */
export const isConfigError: (value: unknown) => value is ConfigError = Schema.is(ConfigError)

/**
 * Returns whether a value is a {@link ToolError}, the error of tool calls that a model makes.
 *
 * @category guards
 * @since 0.1.0
 */
export const isToolError: (value: unknown) => value is ToolError = Schema.is(ToolError)

const isTyped = Schema.is(Schema.Union([
  SessionError,
  ConfigError,
  AllServersFailed,
  SessionPool.AcquireTimeout,
  Sessions.OpenFailed,
  ToolError,
  ToolNameCollision
]))

const runtimeOf = (
  layer: Layer.Layer<Sessions.Sessions, ConfigError>,
  { telemetry }: { readonly telemetry?: PlainTelemetry | undefined }
) => makeRuntime<Sessions.Sessions, Failure>({ layer, isTyped, parent: parentOf(telemetry) })

/**
 * Makes sessions of named servers over given transports. The first use checks the configuration; each server is connected by the first
 * call that needs it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options & { readonly transports: Layer.Layer<Transports, ConfigError> }): McpSessions =>
  facade(
    runtimeOf(checkedLayer({ ...options, check: () => layerOptions(options), layer: Sessions.layer }), options),
    { names: Object.keys(options.servers ?? {}), problems: [] }
  )

/**
 * Makes sessions of the servers of configuration files over given transports. Rejects where a file that the program names cannot be read or
 * parsed; other problems are in `problems`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFile = (
  options: FileOptions & { readonly transports: Layer.Layer<Transports | Host, ConfigError> }
): Promise<McpSessions> => {
  const check = () => fileLayerOptions(options)
  const runtime = runtimeOf(checkedLayer({ ...options, check, layer: Sessions.layerFile }), options)
  const loaded = Effect.map(Sessions.Sessions, ({ names, problems }) => facade(runtime, { names, problems }))
  return runtime.run(loaded, { server: "" }).catch((error: unknown) =>
    runtime.close(Effect.void).then(() => {
      throw error
    })
  )
}

/** The operations of sessions in promises. */
const facade = (
  runtime: PromiseRuntime<Sessions.Sessions, Failure>,
  { names, problems }: Pick<McpSessions, "names" | "problems">
): McpSessions => {
  const { close, run } = runtime
  const inPromises = promiseSessions({ runtime, isTyped })
  const { lend, sessionIn } = inPromises
  /** The server that errors of operations on several servers name. */
  const [firstServer = ""] = names
  /** Pools and catalogs. */
  const resources = new OpenResources()

  const opened = (server: string, options: Sessions.OwnerOptions | undefined) =>
    Effect.map(
      acquire(inSessions((sessions) => sessions.open(server, options))),
      ({ close, value }): McpSession => sessionIn(value, close)
    )

  const openedManually = (server: string, { owner }: Sessions.OwnerOptions) =>
    Effect.map(
      acquire(inSessions((sessions) => sessions.open(server, { owner, handshake: "manual" }))),
      ({ close, value }): McpUninitializedSession => ({
        server,
        initialize: (options) =>
          runWith(
            { options, rules: rules.signal, server },
            () => Effect.map(value.initialize, (session) => sessionIn(session, notClosed))
          ),
        ...closeable(close)
      })
    )

  /** Runs an effect of options that keep to the rules. */
  const runWith = <A, O extends object>(
    { options, rules, server }: {
      readonly options: SignalOptions | undefined
      readonly rules: Rules
      readonly server: string
    },
    make: (checked: Checked<O> | undefined) => Effect.Effect<A, Failure, Sessions.Sessions>
  ): Promise<A> => {
    const checked = effectOptions<O>({ rules, options, server })
    return checked instanceof BadOptions
      ? rejected(checked)
      : run(Effect.suspend(() => make(checked)), { server }, options)
  }

  type Service = Sessions.Sessions["Service"]

  /** An operation on one server whose only option is a signal. */
  const onServer =
    <A>(make: (service: Service, server: string) => Effect.Effect<A, Failure>) =>
    (server: string, options?: SignalOptions): Promise<A> =>
      runWith({ options, rules: rules.signal, server }, () => inSessions((service) => make(service, server)))

  /** An operation on one server for an owner. */
  const forOwner = <A>(
    make: (service: Service, server: string, options: Sessions.OwnerOptions | undefined) => Effect.Effect<A, Failure>
  ) =>
  (server: string, options?: Sessions.OwnerOptions & SignalOptions): Promise<A> =>
    runWith(
      { options, rules: rules.owner, server },
      (checked: Checked<Sessions.OwnerOptions> | undefined) => inSessions((service) => make(service, server, checked))
    )

  const inSessions = <A, E extends Failure, R>(
    f: (sessions: Sessions.Sessions["Service"]) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R | Sessions.Sessions> => Effect.flatMap(Sessions.Sessions, f)

  const callTool = (
    ...[server, tool, args, options]: Parameters<PromisedMember<Sessions.Sessions["Service"]["callTool"]>>
  ) =>
    promiseCall(runtime, {
      caller: { server },
      rules: rules.ownedCall,
      tool,
      options,
      call: (checked) => inSessions((sessions) => sessions.callTool(server, tool, args, checked)),
      start: (checked, context, onEnd) => {
        const registry = registryOf(Context.get(context, Sessions.Sessions))
        return registry === undefined ? undefined : startCall({
          registry,
          server,
          owner: checked?.owner ?? "default",
          tool,
          args: args ?? {},
          options: checked,
          onEnd
        })
      }
    })

  return {
    names,
    problems,
    get: (server, options) =>
      runWith(
        { options, rules: rules.owner, server },
        (checked: Checked<Sessions.OwnerOptions> | undefined) =>
          Effect.map(
            acquire(inSessions((sessions) => sessions.get(server, checked))),
            ({ close, value }) => sessionIn(value, close)
          )
      ),
    open: ((server: string, options?: OpenSessionOptions<"automatic" | "manual">) =>
      runWith(
        { options, rules: rules.open, server },
        (checked: Checked<Sessions.OpenOptions> | undefined): Effect.Effect<
          McpSession | McpUninitializedSession,
          Failure,
          Sessions.Sessions
        > => checked?.handshake === "manual" ? openedManually(server, checked) : opened(server, checked)
      )) as McpSessions["open"],
    tools: (options) =>
      runWith(
        { options, rules: toolsRules, server: firstServer },
        (checked: Checked<ToolsOptions> | undefined) =>
          Effect.map(
            acquire(Effect.suspend(() => ToolCatalog.make(catalogOptions(checked ?? {})))),
            ({ close, value }) => toolsOf({ catalog: value, run, server: firstServer, closeable: resources.add(close) })
          )
      ),
    callTool: callTool as McpSessions["callTool"],
    withFallback: (options, operation) => {
      const checked = effectOptions<FallbackOptions>({
        rules: rules.fallback,
        options,
        server: undefined,
        required: ["servers"]
      })
      if (checked instanceof BadOptions) return rejected(checked)
      const given = checked as FallbackOptions
      return run(
        inSessions(({ withFallback }) => withFallback(given, (session) => lend(session, operation))),
        { server: given.servers[0] },
        options
      )
    },
    pool: (options) =>
      run(
        Effect.map(
          acquire(Effect.suspend(() => SessionPool.make(options))),
          ({ close, value }) =>
            makePool({ pool: value, runtime, sessions: inPromises, closeable: resources.add(close) })
        ),
        { server: (options as PoolOptions | undefined)?.server ?? firstServer }
      ),
    status: onServer(({ status }, server) => status(server)),
    signIn: forOwner(({ signIn }, server, options) => signIn(server, options)),
    signOut: forOwner(({ signOut }, server, options) => signOut(server, options)),
    signInState: forOwner(({ signInState }, server, options) => signInState(server, options)),
    restart: onServer(({ restart }, server) => restart(server)),
    eject: onServer(({ eject }, server) => eject(server)),
    readmit: onServer(({ readmit }, server) => readmit(server)),
    ...closeable(() => close(resources.closeAll))
  }
}

/**
 * Types the tools of all servers: `McpSessions.typed<Servers>(sessions)`. Returns the sessions themselves.
 *
 * @see {@link TypedMcpSessions}
 * @category combinators
 * @since 0.1.0
 */
export const typed = <Servers extends ServerMap<Servers>>(sessions: McpSessions): TypedMcpSessions<Servers> =>
  sessions as unknown as TypedMcpSessions<Servers>
