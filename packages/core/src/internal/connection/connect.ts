/**
 * One attempt to connect, in bounded time. It leaves either a connection or nothing.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import { type ConnectReason, ConnectTimeout } from "../../SessionError.ts"
import { Peer, type Transport } from "../../Transport.ts"
import type { Cleanup } from "./cleanup.ts"

/** A connection and the scope that it lives in. */
export interface Connected {
  readonly connection: Connection
  readonly scope: Scope.Closeable
  /** The result of the handshake, if there was one. */
  readonly info: ConnectionInfo | undefined
}

/** Says why a connect failed whose time is up: the server may have refused it. */
export const timeoutReason = (connection: Connection | undefined, timeout: Duration.Duration): ConnectReason =>
  connection?.refusal?.() ??
    new ConnectTimeout({ timeout: Duration.toMillis(timeout), stderrTail: connection?.stderrTail() })

/** Connects within `timeout`, the handshake included. The connection lives in a scope below `parent`. */
export const connect = (options: {
  readonly transport: Transport["Service"]
  /** Provided to the transport. */
  readonly peer: typeof Peer.Service
  readonly timeout: Duration.Duration
  readonly parent: Scope.Scope
  /** Called with the connection before anything is sent on it. */
  readonly onConnection: (connection: Connection) => void
  /** The handshake; `undefined` leaves it to the caller. */
  readonly handshake: ((connection: Connection) => Effect.Effect<ConnectionInfo, ConnectReason>) | undefined
  readonly cleanup: Cleanup
}): Effect.Effect<Connected, ConnectReason> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const { cleanup, handshake, onConnection, parent, peer, timeout, transport } = options
      const scope = Scope.forkUnsafe(parent)
      let opened: Connection | undefined
      const attempt = Effect.gen(function*() {
        const connection = opened = yield* Effect.provideService(transport.connect, Peer, peer)
        onConnection(connection)
        return { connection, scope, info: handshake === undefined ? undefined : yield* handshake(connection) }
      }).pipe(
        Scope.provide(scope),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => Effect.fail(timeoutReason(opened, timeout))
        })
      )
      return Effect.onExit(
        restore(attempt),
        (exit) => Exit.isSuccess(exit) ? Effect.void : cleanup.start({ scope, generation: 0 })
      )
    })
  )
