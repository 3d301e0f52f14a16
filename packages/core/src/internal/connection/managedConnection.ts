/**
 * Managed connection: the connection of one identity to one server, opened on demand, shared by all callers, replaced when lost.
 *
 * It is the only owner of connecting and reconnecting. Callers wait for a connection and may leave at any time without affecting other
 * callers. Each connection has the next `generation`; reports about an older one are ignored.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Random } from "effect/Random"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Stream from "effect/Stream"
import type { Authorization } from "../../Authorization.ts"
import type { CleanupReport } from "../../Cleanup.ts"
import type { Connection } from "../../Connection.ts"
import type { ConnectionState } from "../../ConnectionState.ts"
import type { LogLevel, Notification } from "../../Notification.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import { type Reason, SessionError } from "../../SessionError.ts"
import type { Peer, Transport } from "../../Transport.ts"
import type { ServerState } from "../server/serverState.ts"
import type { Durations } from "../telemetry/durations.ts"
import type { Timers } from "../timers.ts"
import { Acquisition, type AcquisitionHost } from "./acquisition.ts"
import { Cleanup } from "./cleanup.ts"
import { Connector, type ConnectorHost } from "./connector.ts"
import type { LiveConnection } from "./liveConnection.ts"
import { Liveness, type LivenessHost } from "./liveness.ts"
import { logEvent } from "./logEvent.ts"
import { Reconnect } from "./reconnect.ts"
import type { StartGate } from "./startGate.ts"
import { StateListeners } from "./stateListeners.ts"
import { type Event, initial, type Machine, transition } from "./stateMachine.ts"

export interface Options {
  readonly definition: ServerDefinition
  readonly server: ServerState
  readonly timers: Timers
  readonly transport: Transport["Service"]
  readonly peer: typeof Peer.Service
  readonly retry: RetryPolicy
  readonly reconnect: RetryPolicy
  readonly onCleanup: (report: CleanupReport) => Effect.Effect<void>
  readonly onNotification: (notification: Notification) => void
  /** Whether `initialize` makes the handshake, instead of each connect. */
  readonly isManual: boolean
  /** The log level that each connection asks for; `undefined` leaves it to the server. */
  readonly logLevel: LogLevel | undefined
  /** Signs the owner in; `undefined` if the program has no such service. */
  readonly authorization: Authorization["Service"] | undefined
}

export class ManagedConnection implements ConnectorHost, AcquisitionHost, LivenessHost {
  readonly definition: ServerDefinition
  readonly server: ServerState
  readonly timers: Timers
  readonly transport: Transport["Service"]
  readonly peer: typeof Peer.Service
  /** The log level that new connections ask for. */
  logLevel: LogLevel | undefined
  /** Whether the next handshake is left to the caller. */
  isManual: boolean
  /** Limits process starts; `undefined` unless the server is opened together with others. */
  gate: StartGate | undefined
  /** The parent scope of the connections and of background work. */
  readonly work: Scope.Closeable
  /** The context in which connections are made: that of the layer, never that of a caller. */
  readonly context: Context.Context<never>
  readonly cleanup: Cleanup
  readonly random: Random
  readonly #listeners = new StateListeners()
  readonly #options: Options
  readonly #connector: Connector
  readonly #acquisition: Acquisition
  readonly #liveness: Liveness
  readonly #reconnect: Reconnect
  #machine = initial
  #live: LiveConnection | undefined
  #unwatch: (() => void) | undefined
  #handshakes: Semaphore.Semaphore | undefined

  constructor(options: Options, scope: Scope.Scope, context: Context.Context<never>) {
    this.#options = options
    this.definition = options.definition
    this.server = options.server
    this.peer = options.peer
    this.transport = options.transport
    this.timers = options.timers
    this.logLevel = options.logLevel
    this.isManual = options.isManual
    this.work = Scope.forkUnsafe(scope)
    this.context = context
    this.cleanup = new Cleanup({
      server: options.definition.name,
      onCleanup: (report) => {
        if (report.outcome !== "closed") options.server.telemetry.count("cleanupFailures")
        return options.onCleanup(report)
      }
    })
    this.random = Context.get(context, Random)
    this.#connector = new Connector(this)
    this.#acquisition = new Acquisition({ host: this, connector: this.#connector, options })
    this.#liveness = new Liveness(this)
    this.#reconnect = new Reconnect({
      current: () => this.#live,
      lastFailure: () => this.#acquisition.lastFailure,
      acquireOnce: this.#acquisition.acquire({ isRetried: false }),
      policy: options.reconnect,
      scope,
      context
    })
  }

  get machine(): Machine {
    return this.#machine
  }

  /** The number of the latest connection; 0 before the first. */
  get generation(): number {
    return this.#machine.generation
  }

  get state(): ConnectionState {
    return this.#machine.state
  }

  /** The current state, and each later one until `Closed`. */
  get stateChanges(): Stream.Stream<ConnectionState> {
    return this.#listeners.changes(() => this.state)
  }

  /** The connection if there is one, without waiting: what calls use first. */
  get current(): LiveConnection | undefined {
    return this.#live
  }

  /** The connection, made by the retry policy if there is none. */
  get acquire(): Effect.Effect<LiveConnection, SessionError> {
    return Effect.tapError(this.#acquisition.acquire({ isRetried: true }), this.server.telemetry.countRefusal)
  }

  /** The connection, made by one attempt if there is none: for callers with a policy of their own. */
  get acquireOnce(): Effect.Effect<LiveConnection, SessionError> {
    return Effect.tapError(this.#acquisition.acquire({ isRetried: false }), this.server.telemetry.countRefusal)
  }

  /** Probes the server while its circuit is open: by a ping, or by a connect if there is no connection. */
  get probe(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const connect = Effect.ignore(this.#acquisition.acquire({ isRetried: false, isProbe: true }))
      const live = this.#live
      return live === undefined ? connect : this.#liveness.probe(live, connect)
    })
  }

  /** Signs the owner in after the server has refused a request for lack of credentials. */
  signIn(refusal: SessionError): Effect.Effect<void, SessionError> {
    return this.#acquisition.signIn(refusal)
  }

  /** Makes the manual handshake, if it was not made yet. */
  get initialize(): Effect.Effect<LiveConnection, SessionError> {
    this.#handshakes ??= Semaphore.makeUnsafe(1)
    return this.#handshakes.withPermits(1)(Effect.suspend(() => {
      if (!this.isManual) return this.acquire
      this.isManual = false
      return this.acquire.pipe(
        Effect.tap((live) => live.info === undefined ? this.#handshakeOn(live) : Effect.void),
        Effect.onError(() =>
          Effect.sync(() => {
            this.isManual = true
          })
        )
      )
    }))
  }

  /** Makes sure that there is a connection whenever one can be made, for as long as the scope. */
  get keepAlive(): Effect.Effect<void, never, Scope.Scope> {
    return this.#reconnect.keepAlive
  }

  /** Drops the connection, and what the transport has learnt of the server; the next use makes another. */
  get restart(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.transport.forget?.()
      this.#acquisition.lastFailure = undefined
      return Effect.andThen(this.#live === undefined ? Effect.void : this.drop(this.#live), this.#reconnect.restarted)
    })
  }

  /**
   * Drops a lost connection and records the loss. It is closed once the requests in flight on it have ended: each of them learns its own
   * outcome.
   */
  lose(live: LiveConnection, error: SessionError): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!live.isLossRecorded) {
        live.isLossRecorded = true
        this.server.failed(error, this.#now())
        this.server.telemetry.count("losses")
      }
      return this.#end(live, error)
    })
  }

  loseFor(live: LiveConnection, reason: Reason): Effect.Effect<void> {
    return this.lose(live, this.#fail(reason))
  }

  isReady({ generation }: LiveConnection): boolean {
    const { state } = this.#machine
    return state._tag === "Ready" && state.generation === generation
  }

  notified(connection: Connection, notification: Notification): void {
    if (this.#live?.connection === connection) this.#live.heardAt = this.#now()
    this.#options.onNotification(notification)
  }

  fork(live: LiveConnection, effect: Effect.Effect<void>): void {
    Fiber.runIn(Effect.runForkWith(this.context)(effect), live.scope)
  }

  /** Pings the connection after a request on it timed out. */
  suspect(live: LiveConnection): void {
    this.#liveness.suspect(live)
  }

  /** Records that the server responded on a connection. Returns when. */
  responded(live: LiveConnection): number {
    const now = this.#now()
    live.heardAt = now
    this.server.succeeded(now)
    return now
  }

  /** The durations of requests on a connection. */
  durationsOf(live: LiveConnection): Durations {
    return live.durations ??= this.server.telemetry.durations(
      this.definition.config,
      live.info?.protocolVersion ?? "unknown"
    )
  }

  /** Records a failure that does not lose the connection. */
  failed(live: LiveConnection, error: SessionError): void {
    const now = this.#now()
    if (error.reason.health === "alive") live.heardAt = now
    this.server.failed(error, now)
  }

  /** Closes everything for good. Run once, when the scope of the identity closes. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      // Waiting callers are told before the attempt that they wait for is interrupted.
      this.#acquisition.close()
      if (this.#live !== undefined) this.#recordSession(this.#live, undefined)
      this.#setLive(undefined)
      this.on({ _tag: "Closing" })
      return Effect.andThen(this.#acquisition.interrupted, this.cleanup.finish)
    }).pipe(
      Effect.ensuring(Scope.close(this.work, Exit.void)),
      Effect.ensuring(Effect.sync(() => this.on({ _tag: "Closed" })))
    )
  }

  #now(): number {
    return this.timers.now()
  }

  #fail(reason: Reason): SessionError {
    return new SessionError({ server: this.definition.name, reason })
  }

  on(event: Event): void {
    const before = this.#machine.state
    this.#machine = transition({ machine: this.#machine, event })
    const { state } = this.#machine
    if (state === before) return
    logEvent({ ...this.peer, context: this.context, event, generation: this.#machine.generation })
    this.#listeners.emit(state)
    this.server.changed()
  }

  #setLive(live: LiveConnection | undefined): void {
    this.#unwatch?.()
    this.#live = live
    this.#unwatch = live === undefined ? undefined : this.#liveness.watch(live)
  }

  drop(live: LiveConnection): Effect.Effect<void> {
    return this.#end(live, undefined)
  }

  /** Drops a connection, which was lost if there is an error. */
  #end(live: LiveConnection, error: SessionError | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#live !== live) return Effect.void
      // In one step: an observer sees either the connection or its loss.
      this.#recordSession(live, error)
      this.#setLive(undefined)
      this.on({ _tag: "Lost", generation: live.generation, error })
      return live.retire
    }).pipe(Effect.uninterruptible)
  }

  #recordSession(live: LiveConnection, error: SessionError | undefined): void {
    if (live.info !== undefined) this.durationsOf(live).session((this.#now() - live.openedAt) / 1000, error?.reason)
  }

  #handshakeOn(live: LiveConnection): Effect.Effect<void, SessionError> {
    return this.#connector.lateHandshake(live.connection).pipe(
      Effect.onExit((exit) => {
        const now = this.#now()
        if (Exit.isSuccess(exit)) {
          live.info = exit.value
          this.server.connected(now)
          return Effect.void
        }
        const error = Option.getOrUndefined(Exit.findErrorOption(exit))
        if (error !== undefined) this.server.failed(error, now, true)
        return this.drop(live)
      }),
      Effect.asVoid
    )
  }

  gaveUp(): void {
    this.on({ _tag: "GaveUp" })
  }

  use(live: LiveConnection): void {
    this.#setLive(live)
    live.connection.onClose((reason) => {
      // Of a connection that was dropped before, the requests in flight report the loss.
      if (this.#live !== live) return
      const lost = live.info === undefined ? this.drop(live) : this.lose(live, this.#fail(reason))
      Effect.runForkWith(this.context)(lost)
    })
  }
}

/** Makes a managed connection that lives as long as the scope. */
export const make = (options: Options): Effect.Effect<ManagedConnection, never, Scope.Scope> =>
  Effect.gen(function*() {
    const managed = new ManagedConnection(options, yield* Effect.scope, yield* Effect.context<never>())
    yield* Effect.addFinalizer(() => managed.close)
    return managed
  })
