/**
 * Connector: makes one attempt to connect, if the circuit and the start limit admit one, and the handshake.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { AnySpan } from "effect/Tracer"
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import { fromWire, type LogLevel, type Notification } from "../../Notification.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"
import { type ConnectReason, type Reason, ServerDown, SessionError, TransportClosed } from "../../SessionError.ts"
import { attributes as names, spans } from "../../Telemetry.ts"
import type { Peer, Transport } from "../../Transport.ts"
import type { ServerState } from "../server/serverState.ts"
import { connectionAttributes } from "../telemetry/attributes.ts"
import { isContextTraced, withSpan } from "../telemetry/spans.ts"
import type { Timers } from "../timers.ts"
import type { Cleanup } from "./cleanup.ts"
import { connect, timeoutReason } from "./connect.ts"
import { LiveConnection } from "./liveConnection.ts"
import type { StartGate } from "./startGate.ts"
import { type Event, type Machine, startableAt } from "./stateMachine.ts"

/** What a connector needs of the managed connection. */
export interface ConnectorHost {
  readonly definition: ServerDefinition
  readonly server: ServerState
  readonly transport: Transport["Service"]
  readonly peer: typeof Peer.Service
  readonly timers: Timers
  readonly cleanup: Cleanup
  /** The context in which connections are made. */
  readonly context: Context.Context<never>
  /** The parent scope of connections. */
  readonly work: Scope.Scope
  readonly machine: Machine
  readonly logLevel: LogLevel | undefined
  /** Whether the handshake is left to the caller. */
  readonly isManual: boolean
  /** Limits process starts, if many servers are opened at once. */
  readonly gate: StartGate | undefined
  on(event: Event): void
  /** Receives the notifications of a connection. */
  notified(connection: Connection, notification: Notification): void
}

export class Connector {
  readonly #host: ConnectorHost

  constructor(host: ConnectorHost) {
    this.#host = host
  }

  /** One attempt, if the circuit and the start limit admit one. Its outcome is recorded in the health of the server. */
  get attempt(): Effect.Effect<LiveConnection, SessionError> {
    return this.#isTraced
      ? Effect.flatMap(
        Effect.option(Effect.currentSpan),
        (connect) => this.#inSpan(this.#attempt(Option.getOrUndefined(connect)))
      )
      : this.#attempt(undefined)
  }

  /** `span` is that of the connect, which is all its attempts. */
  #attempt(span: AnySpan | undefined): Effect.Effect<LiveConnection, SessionError> {
    return Effect.gen({ self: this }, function*() {
      const startedAt = this.#host.timers.now()
      const retryAt = startableAt({ machine: this.#host.machine, now: startedAt })
      if (retryAt > startedAt) {
        return yield* this.#fail(new ServerDown({ retryAt: this.#host.timers.toWall(retryAt) }))
      }
      this.#host.on({ _tag: "Attempted" })
      const opened = yield* this.#host.server.circuitBreaker.guard(this.#open)
      const now = this.#host.timers.now()
      this.#host.on({ _tag: "Connected", now })
      this.#host.server.connected(now)
      const { generation } = this.#host.machine
      this.#host.server.telemetry.count("opens")
      if (generation > 1) this.#host.server.telemetry.count("reconnects")
      const live = new LiveConnection({
        ...opened,
        generation,
        span,
        now,
        context: this.#host.context,
        release: (live) => Effect.asVoid(this.#host.cleanup.start(live))
      })
      this.#host.cleanup.opened(live)
      return live
    }).pipe(
      Effect.tapError((error) =>
        Effect.sync(() =>
          this.#host.on(
            error.reason._tag === "ServerDown"
              ? { _tag: "Down", retryAt: error.reason.retryAt, error: this.#host.server.health.lastError }
              : { _tag: "Failed", error }
          )
        )
      )
    )
  }

  /** The handshake, and the log level, which each connection has to be asked for anew. */
  handshake(connection: Connection): Effect.Effect<ConnectionInfo, ConnectReason> {
    return Effect.tap(connection.initialize, ({ capabilities }) => {
      const { logLevel } = this.#host
      return logLevel === undefined || capabilities.logging === undefined
        ? Effect.void
        : Effect.catch(
          connection.setLogLevel(logLevel),
          (reason): Effect.Effect<void, ConnectReason> =>
            reason.losesConnection
              ? Effect.fail(new TransportClosed({ delivery: "NotSent" }))
              // The server is usable without it.
              : Effect.logDebug("the server did not accept the log level", reason)
        )
    })
  }

  /** The handshake of a connection that was made without one, in bounded time. */
  lateHandshake(connection: Connection): Effect.Effect<ConnectionInfo, SessionError> {
    const { connectTimeout } = this.#host.definition.config
    return this.handshake(connection).pipe(
      Effect.timeoutOrElse({
        duration: connectTimeout,
        orElse: () => Effect.fail(timeoutReason(connection, connectTimeout))
      }),
      Effect.mapError((reason) => this.#fail(reason))
    )
  }

  get #open() {
    return Effect.suspend(() => {
      this.#host.server.telemetry.count("connects")
      return connect({
        transport: this.#host.transport,
        peer: this.#host.peer,
        timeout: this.#host.definition.config.connectTimeout,
        parent: this.#host.work,
        onConnection: (connection) => this.#listen(connection),
        handshake: this.#host.isManual ? undefined : (connection) => this.handshake(connection),
        cleanup: this.#host.cleanup,
        gate: this.#host.gate
      })
    }).pipe(
      Effect.mapError((reason) => this.#fail(reason)),
      Effect.tapError((error) => Effect.sync(() => this.#host.server.failed(error, this.#host.timers.now(), true)))
    )
  }

  #listen(connection: Connection): void {
    connection.onNotification((notification) => this.#host.notified(connection, fromWire(notification)))
  }

  get #isTraced(): boolean {
    return isContextTraced(this.#host.context)
  }

  #inSpan(attempt: Effect.Effect<LiveConnection, SessionError>): Effect.Effect<LiveConnection, SessionError> {
    return Effect.suspend(() => {
      const { state } = this.#host.machine
      const annotated = Effect.tap(
        attempt,
        (live) =>
          Effect.annotateCurrentSpan({ [names.generation.name]: live.generation, ...connectionAttributes(live) })
      )
      return withSpan(annotated, {
        name: spans.attempt.name,
        attributes: { [names.attempt.name]: state._tag === "Backoff" ? state.attempt + 1 : 1 }
      })
    })
  }

  #fail(reason: Reason): SessionError {
    return new SessionError({ server: this.#host.definition.name, reason })
  }
}
