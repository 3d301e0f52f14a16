/**
 * Session core: what all session objects of one identity at one server share.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { ClientHandlers, type Handlers, type Peer } from "../../ClientHandlers.ts"
import { ConfigError, InvalidValue } from "../../ConfigError.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { isPlainObject } from "../config/callOptions.ts"
import type { ManagedConnection, Options as ConnectionOptions } from "../connection/managedConnection.ts"
import * as managedConnection from "../connection/managedConnection.ts"
import { ListCache } from "../notifications/listCache.ts"
import * as logPump from "../notifications/logPump.ts"
import { NotificationHub } from "../notifications/notificationHub.ts"
import { SubscriptionManager } from "../notifications/subscriptionManager.ts"
import { Executor } from "../request/execute.ts"
import type { CallerPolicy } from "../request/retryLoop.ts"
import type { Probed } from "../server/circuitProber.ts"
import { guardTelemetry } from "../telemetry/guard.ts"
import type { Identity } from "./identity.ts"

export interface SessionCoreOptions extends Omit<ConnectionOptions, "logLevel" | "onNotification" | "peer"> {
  readonly owner: string
  /** The identity that the connection is made with, or was the last time. */
  readonly identity: () => Identity
}

/**
 * How long a server may take to list its tools after a call has failed, when that is needed to know whether the tool is idempotent. In
 * milliseconds.
 */
const listToolsTimeout = 5000

const yes = Effect.succeed(true)
const no = Effect.succeed(false)

const neverEnds = (): boolean => false

export class SessionCore implements Probed {
  readonly owner: string
  readonly identity: () => Identity
  readonly managed: ManagedConnection
  readonly hub: NotificationHub
  readonly subscriptions: SubscriptionManager
  readonly lists: ListCache
  readonly executor: Executor
  /** Whether a program holds a session on it. A core that is not shared is closed when it is not held. */
  isHeld: () => boolean = () => true

  constructor(options: {
    readonly owner: string
    readonly identity: () => Identity
    readonly managed: ManagedConnection
    readonly hub: NotificationHub
    readonly timers: ConnectionOptions["timers"]
    readonly retry: RetryPolicy.RetryPolicy
    readonly reconnect: RetryPolicy.RetryPolicy
    readonly scope: Scope.Scope
    readonly context: Context.Context<never>
  }) {
    const { context, hub, identity, managed, owner, reconnect, retry, scope, timers } = options
    const caller: CallerPolicy = { retry, isEnded: neverEnds, connectsOnce: false }
    this.owner = owner
    this.identity = identity
    this.managed = managed
    this.hub = hub
    this.executor = new Executor({ managed, owner, timers })
    this.subscriptions = new SubscriptionManager({ managed, retry, reconnect, scope, context })
    this.lists = new ListCache({
      managed,
      hub,
      subscriptions: this.subscriptions,
      execute: (operation) => this.executor.execute(operation, caller),
      context,
      scope
    })
  }

  /** Probes the server while its circuit is open. */
  get probe(): Effect.Effect<void> {
    return this.managed.probe
  }

  /**
   * Whether running a tool twice is harmless, as its annotations say on a server marked `trusted`. Lists the tools if they were not listed on
   * the current connection.
   */
  isIdempotent(tool: string): Effect.Effect<boolean> {
    if (!this.managed.definition.config.trusted) return no
    return Effect.suspend(() => {
      const known = this.lists.idempotentTools
      if (known !== undefined) return known.has(tool) ? yes : no
      // The call has ended by then, and with it perhaps the session object that it was made on.
      const once: CallerPolicy = { retry: RetryPolicy.never, isEnded: neverEnds, connectsOnce: true }
      const listed = this.lists.list("tools", {
        refresh: true,
        execute: (operation) => this.executor.execute(operation, once),
        timeout: listToolsTimeout
      })
      return Effect.map(Effect.ignore(listed), () => this.lists.idempotentTools?.has(tool) ?? false)
    })
  }
}

/** The handlers of an owner at a server. The function that chooses them belongs to the program, and may throw or return nothing. */
const handlersFor = (peer: Peer, provided: typeof ClientHandlers.Service): Effect.Effect<Handlers, ConfigError> =>
  Effect.suspend(() => {
    const { server } = peer
    const expected = "an object of functions, or a function that returns one"
    // An error reads its stack, which costs more than the rest of a session.
    const bad = () => new ConfigError({ problems: [new InvalidValue({ server, path: ["handlers"], expected })] })
    try {
      const handlers = typeof provided === "function" ? provided(peer) : provided
      return isPlainObject(handlers) ? Effect.succeed(handlers) : Effect.fail(bad())
    } catch (defect) {
      return Effect.andThen(
        guardTelemetry(Effect.logError(`the handlers of ${server} could not be made`, Cause.die(defect))),
        Effect.fail(bad())
      )
    }
  })

/** Makes a session core that lives as long as the scope. */
export const make = Effect.fnUntraced(function*(
  options: SessionCoreOptions
): Effect.fn.Return<SessionCore, ConfigError, Scope.Scope> {
  const { definition: { name: server }, owner, reconnect, retry, timers } = options
  const handlers = yield* handlersFor({ owner, server }, yield* ClientHandlers)
  const { logging } = handlers
  const hub = new NotificationHub(() => options.server.telemetry.count("droppedNotifications"))
  const context = yield* Effect.context<never>()
  const managed = yield* managedConnection.make({
    ...options,
    peer: { owner, server, handlers },
    logLevel: logging?.level,
    onNotification: hub.publish
  })
  // Closed before the connection: subscribers and watchers are told first.
  const scope = yield* Scope.fork(yield* Effect.scope)
  const core = new SessionCore({
    owner,
    identity: options.identity,
    managed,
    hub,
    timers,
    retry,
    reconnect,
    scope,
    context
  })
  yield* Effect.addFinalizer(() => Effect.andThen(core.subscriptions.close, core.lists.close))
  if (logging !== undefined) {
    yield* logPump.make({ hub, handle: (message) => logging.handle(message, { owner, server }) })
  }
  return core
})
