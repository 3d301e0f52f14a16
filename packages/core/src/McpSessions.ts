/**
 * The same sessions for plain TypeScript: promises, `await using`, `AbortSignal`.
 *
 * Rejections carry the typed errors of the Effect API: `ConfigError`, `SessionError` with its `reason`, and what fallback and
 * pools add to them. An aborted signal cancels the request on the server too, and rejects with the signal's reason.
 *
 * **Example** (Calling a tool)
 *
 * ```ts import.meta.vitest
 * import { McpSessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 *
 * await using sessions = McpSessions.make({
 *   transports: Transports.layer,
 *   servers: {
 *     everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] }
 *   }
 * })
 * const result = await sessions.callTool("everything", "echo", { message: "hi" })
 * result.content // => [{ type: "text", text: "Echo: hi" }]
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CircuitPolicy, CircuitState } from "./Circuit.ts"
import { ConfigError } from "./ConfigError.ts"
import type { Phase } from "./ConnectionState.ts"
import { AllServersFailed, type FallbackOptions, type FallbackPolicy } from "./FallbackPolicy.ts"
import type { HealthReport } from "./Health.ts"
import { Bag, type InBag } from "./internal/request/bag.ts"
import type {
  CallToolResult,
  Completion,
  CompletionReference,
  GetPromptResult,
  Prompt,
  ReadResourceResult,
  Resource,
  ResourceTemplate,
  Tool
} from "./Mcp.ts"
import type { Listening, LogLevel, Notification, ResourceUpdated } from "./Notification.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import type { AllowCommand, ServerConfigInput } from "./ServerConfig.ts"
import type * as Session from "./Session.ts"
import { CredentialsFailed, SessionClosed, SessionError } from "./SessionError.ts"
import * as SessionPool from "./SessionPool.ts"
import * as Sessions from "./Sessions.ts"
import type { Transports } from "./Transport.ts"

/**
 * The part of the platform's `AbortSignal` that is needed here; any `AbortSignal` is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signal {
  readonly aborted: boolean
  readonly reason: unknown
  readonly addEventListener: (type: "abort", listener: () => void) => void
  readonly removeEventListener: (type: "abort", listener: () => void) => void
}

/**
 * Lets a caller give up. Aborting the signal cancels the operation, on the server too.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignalOptions {
  readonly signal?: Signal | undefined
}

/**
 * A {@link Session.Session} in promises. Disposing of it gives it back.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpSession extends AsyncDisposable {
  readonly server: string
  readonly info: (options?: SignalOptions) => Promise<Session.SessionInfo>
  /** The number of the latest connection: where it has changed, so has the server's memory. */
  readonly generation: () => Promise<number>
  /** The phase that the connection is in, and each other one that it comes into. */
  readonly phases: (options?: SignalOptions) => AsyncIterable<Phase>
  readonly initialize: (options?: SignalOptions) => Promise<Session.SessionInfo>
  readonly listTools: (options?: Session.ListOptions & SignalOptions) => Promise<ReadonlyArray<Tool>>
  readonly callTool: (
    tool: string,
    args?: Record<string, unknown>,
    options?: Session.CallToolOptions & SignalOptions
  ) => Promise<CallToolResult>
  readonly listResources: (options?: Session.ListOptions & SignalOptions) => Promise<ReadonlyArray<Resource>>
  readonly listResourceTemplates: (
    options?: Session.ListOptions & SignalOptions
  ) => Promise<ReadonlyArray<ResourceTemplate>>
  readonly readResource: (
    uri: string,
    options?: Session.ProgressOptions & SignalOptions
  ) => Promise<ReadResourceResult>
  readonly listPrompts: (options?: Session.ListOptions & SignalOptions) => Promise<ReadonlyArray<Prompt>>
  readonly getPrompt: (
    prompt: string,
    args?: Record<string, string>,
    options?: Session.ProgressOptions & SignalOptions
  ) => Promise<GetPromptResult>
  readonly complete: (
    reference: CompletionReference,
    argument: { readonly name: string; readonly value: string },
    options?: Session.CompleteOptions & SignalOptions
  ) => Promise<Completion>
  /** What the server says of its own accord. Leaving the loop, or aborting the signal, ends it. */
  readonly notifications: (options?: SignalOptions) => AsyncIterable<Notification>
  /** Tells when a resource may have changed. */
  readonly subscribe: (uri: string, options?: SignalOptions) => AsyncIterable<Listening | ResourceUpdated>
  /** The tools as they are, and again whenever they have changed. */
  readonly watchTools: (options?: SignalOptions) => AsyncIterable<ReadonlyArray<Tool>>
  readonly watchResources: (options?: SignalOptions) => AsyncIterable<ReadonlyArray<Resource>>
  readonly watchResourceTemplates: (options?: SignalOptions) => AsyncIterable<ReadonlyArray<ResourceTemplate>>
  readonly watchPrompts: (options?: SignalOptions) => AsyncIterable<ReadonlyArray<Prompt>>
  readonly setLogLevel: (level: LogLevel, options?: SignalOptions) => Promise<void>
  readonly ping: (options?: SignalOptions) => Promise<void>
}

/**
 * {@link Sessions.Sessions} in promises. Disposing of it releases every connection, process and server-side session.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpSessions extends AsyncDisposable {
  /** The names of all servers. */
  readonly names: ReadonlyArray<string>
  /** Takes a session until it is disposed of. */
  readonly get: (server: string, options?: Sessions.GetOptions & SignalOptions) => Promise<McpSession>
  readonly callTool: (
    server: string,
    tool: string,
    args?: Record<string, unknown>,
    options?: Session.CallToolOptions & Sessions.OwnerOptions & SignalOptions
  ) => Promise<CallToolResult>
  /**
   * Runs an operation on a session of the first of several servers that is fit for it, and where that is safe, on one of the next.
   * The session is of use until the operation ends. A tool that the operation calls in another way than on its session is none that
   * is known of: where it has run and the operation moves on, it runs again.
   */
  readonly withFallback: <A>(
    options: FallbackOptions & SignalOptions,
    operation: (session: McpSession) => Promise<A>
  ) => Promise<A>
  /** Makes a pool of sessions, until it is disposed of. */
  readonly pool: (options: Omit<SessionPool.SessionPoolOptions, "onLeak">) => Promise<McpPool>
  readonly health: (server: string) => Promise<HealthReport>
  /** Whether a server is left alone after failures in a row, and until when. */
  readonly circuit: (server: string) => Promise<CircuitState>
  /** Lets go of the connections to a server; the next use makes others. */
  readonly restart: (server: string) => Promise<void>
}

/**
 * A {@link SessionPool.SessionPool} in promises. Disposing of it closes its sessions.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpPool extends AsyncDisposable {
  /** Borrows a session for as long as `f` runs. */
  readonly use: <A>(
    f: (session: McpSession) => Promise<A>,
    options?: Sessions.OwnerOptions & SignalOptions
  ) => Promise<A>
  /** Borrows a session for one tool call. */
  readonly callTool: (
    tool: string,
    args?: Record<string, unknown>,
    options?: Session.CallToolOptions & Sessions.OwnerOptions & SignalOptions
  ) => Promise<CallToolResult>
  readonly stats: () => Promise<SessionPool.SessionPoolStats>
  /** Lends no session again that there is by now. */
  readonly drain: () => Promise<void>
}

/**
 * The credentials of an owner at a server, as plain text: `headers` for servers behind a URL, `env` for those that are started.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainCredentials {
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
}

type Failure = SessionError | ConfigError | AllServersFailed | SessionPool.AcquireTimeout

/** Rejects with the reason of the signal once that is aborted. */
const aborted = (signal: Signal): Effect.Effect<never> =>
  Effect.callback((resume) => {
    const abort = () => resume(Effect.die(signal.reason))
    if (signal.aborted) return abort()
    signal.addEventListener("abort", abort)
    return Effect.sync(() => signal.removeEventListener("abort", abort))
  })

const iterate = <A>(stream: Stream.Stream<A, SessionError>, options: SignalOptions | undefined): AsyncIterable<A> =>
  Stream.toAsyncIterable(
    options?.signal === undefined ? stream : Stream.interruptWhen(stream, aborted(options.signal))
  )

const isTyped = Schema.is(Schema.Union([SessionError, ConfigError, AllServersFailed, SessionPool.AcquireTimeout]))

/** What it rejects with that is not one of ours is none of our business. */
const fromPromise = <A>(run: () => Promise<A>): Effect.Effect<A, Failure> =>
  Effect.callback((resume) => {
    const failed = (error: unknown) => resume(isTyped(error) ? Effect.fail(error) : Effect.die(error))
    // It may throw before there is a promise.
    Promise.resolve().then(run).then((value) => resume(Effect.succeed(value)), failed)
  })

const redact = (secrets: Readonly<Record<string, string>> | undefined) =>
  secrets === undefined ? undefined : Record.map(secrets, (secret) => Redacted.make(secret))

/**
 * Makes sessions of named servers. Nothing is connected, nor the configuration looked at, before the first use.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly servers: Readonly<Record<string, ServerConfigInput>>
  readonly transports: Layer.Layer<Transports>
  readonly retry?: RetryPolicy | undefined
  readonly reconnect?: RetryPolicy | undefined
  readonly circuit?: CircuitPolicy | undefined
  readonly fallback?: FallbackPolicy | undefined
  readonly credentials?:
    | ((request: { readonly owner: string; readonly server: string }) => Promise<PlainCredentials>)
    | undefined
  readonly allowCommand?: AllowCommand | undefined
}): McpSessions => {
  const { credentials, ...rest } = options
  const layer = Sessions.layer({
    ...rest,
    credentials: credentials === undefined ? undefined : (request) =>
      Effect.map(
        Effect.tryPromise({
          try: () => credentials(request),
          catch: (cause) => new CredentialsFailed({ owner: request.owner, cause })
        }),
        ({ env, headers }) => ({ headers: redact(headers), env: redact(env) })
      )
  })
  const runtime = ManagedRuntime.make(layer.pipe(Layer.provide(options.transports)))
  let disposed = false

  /** What is under way, and ends with everything. */
  const running = new Bag<InBag & { readonly fiber: Fiber.Fiber<unknown, unknown> }>()

  const runIn = <A>(
    context: Context.Context<Sessions.Sessions>,
    effect: Effect.Effect<A, Failure, Sessions.Sessions>,
    signal: Signal | undefined
  ): Promise<A> =>
    // @effect-diagnostics-next-line newPromise:off - what the promise of a fiber hides is the fiber
    new Promise((resolve, reject) => {
      const fiber = Effect.runForkWith(context)(effect, { signal })
      const entry = { place: -1, fiber }
      running.add(entry)
      fiber.addObserver((exit) => {
        running.remove(entry)
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(Cause.squash(exit.cause))
      })
    })

  const run = <A>(
    effect: Effect.Effect<A, Failure, Sessions.Sessions>,
    server: string,
    options: SignalOptions | undefined
  ): Promise<A> => {
    const signal = options?.signal
    const closed = () => new SessionError({ server, reason: new SessionClosed() })
    const started: Effect.Effect<A, Failure, Sessions.Sessions> = Effect.suspend(() =>
      // A fiber looks at the signal only after it has begun.
      signal?.aborted === true ? Effect.interrupt : effect
    )
    if (disposed) return Effect.runPromise(Effect.fail(closed()))
    // What the runtime does for each fiber costs as much as the rest of a call.
    const { cachedContext } = runtime
    const ended = cachedContext === undefined
      ? runtime.runPromise(started, { signal })
      : runIn(cachedContext, started, signal)
    return ended.catch((error: unknown) => {
      if (signal?.aborted === true) throw signal.reason
      // What the end of all sessions interrupts is told so, and typed.
      throw disposed && !isTyped(error) ? closed() : error
    })
  }

  /** A session that somebody else gives back. */
  const lent = (session: Session.Session): McpSession => facade(session, Scope.makeUnsafe())

  const facade = (session: Session.Session, scope: Scope.Closeable): McpSession => {
    const { server } = session
    return {
      server,
      info: (options) => run(session.info, server, options),
      generation: () => run(session.generation, server, undefined),
      phases: (options) => iterate(session.phases, options),
      initialize: (options) => run(session.initialize, server, options),
      listTools: (options) => run(session.listTools(options), server, options),
      callTool: (tool, args, options) => run(session.callTool(tool, args, options), server, options),
      listResources: (options) => run(session.listResources(options), server, options),
      listResourceTemplates: (options) => run(session.listResourceTemplates(options), server, options),
      readResource: (uri, options) => run(session.readResource(uri, options), server, options),
      listPrompts: (options) => run(session.listPrompts(options), server, options),
      getPrompt: (prompt, args, options) => run(session.getPrompt(prompt, args, options), server, options),
      complete: (reference, argument, options) => run(session.complete(reference, argument, options), server, options),
      notifications: (options) => iterate(session.notifications, options),
      subscribe: (uri, options) => iterate(session.subscribe(uri), options),
      watchTools: (options) => iterate(session.watchTools, options),
      watchResources: (options) => iterate(session.watchResources, options),
      watchResourceTemplates: (options) => iterate(session.watchResourceTemplates, options),
      watchPrompts: (options) => iterate(session.watchPrompts, options),
      setLogLevel: (level, options) => run(session.setLogLevel(level), server, options),
      ping: (options) => run(session.ping, server, options),
      [Symbol.asyncDispose]: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }

  /** Pools that are not disposed of yet. They end with everything. */
  const pools = new Set<Scope.Closeable>()

  const poolFacade = (pool: SessionPool.SessionPool, scope: Scope.Closeable): McpPool => {
    const { server } = pool
    pools.add(scope)
    return {
      use: (f, options) => run(pool.use((session) => fromPromise(() => f(lent(session))), options), server, options),
      callTool: (tool, args, options) => run(pool.callTool(tool, args, options), server, options),
      stats: () => run(pool.stats, server, undefined),
      drain: () => run(pool.drain, server, undefined),
      [Symbol.asyncDispose]: () => {
        pools.delete(scope)
        return Effect.runPromise(Scope.close(scope, Exit.void))
      }
    }
  }

  return {
    names: Object.keys(options.servers),
    get: (server, options) =>
      run(
        // Whoever aborts gets it or leaves nothing.
        Effect.uninterruptibleMask((restore) =>
          Effect.gen(function*() {
            const sessions = yield* Sessions.Sessions
            const scope = yield* Scope.make()
            const session = yield* restore(sessions.get(server, options)).pipe(
              Scope.provide(scope),
              Effect.onError(() => Scope.close(scope, Exit.void))
            )
            return facade(session, scope)
          })
        ),
        server,
        options
      ),
    callTool: (server, tool, args, options) =>
      run(
        Effect.flatMap(Sessions.Sessions, (sessions) => sessions.callTool(server, tool, args, options)),
        server,
        options
      ),
    withFallback: (options, operation) =>
      run(
        Effect.flatMap(Sessions.Sessions, ({ withFallback }) =>
          withFallback(options, (session) => fromPromise(() => operation(lent(session))))),
        options.servers[0],
        options
      ),
    pool: (options) =>
      run(
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const pool = yield* SessionPool.make(options).pipe(
            Scope.provide(scope),
            Effect.onError(() => Scope.close(scope, Exit.void))
          )
          return poolFacade(pool, scope)
        }),
        options.server,
        undefined
      ),
    health: (server) =>
      run(Effect.flatMap(Sessions.Sessions, (sessions) => sessions.health(server)), server, undefined),
    circuit: (server) =>
      run(Effect.flatMap(Sessions.Sessions, (sessions) => sessions.circuit(server)), server, undefined),
    restart: (server) =>
      run(Effect.flatMap(Sessions.Sessions, (sessions) => sessions.restart(server)), server, undefined),
    [Symbol.asyncDispose]: () => {
      disposed = true
      const closed = Effect.forEach(pools, (scope) => Scope.close(scope, Exit.void), { concurrency: "unbounded" })
      const rest = Effect.suspend(() => Fiber.interruptAll(running.all().map(({ fiber }) => fiber)))
      return Effect.runPromise(closed.pipe(Effect.ensuring(runtime.disposeEffect), Effect.ensuring(rest))).then(() =>
        undefined
      )
    }
  }
}
