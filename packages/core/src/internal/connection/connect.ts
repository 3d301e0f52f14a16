/**
 * One attempt to have a connection, in bounded time. It either leaves a connection or nothing.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import { ConnectTimeout, type Reason } from "../../SessionError.ts"
import { Peer, type Transport } from "../../Transport.ts"
import type { Releases } from "./cleanup.ts"

/** A connection, and the scope that it lives in. `info` is there if there was a handshake. */
export interface OpenConnection {
  readonly connection: Connection
  readonly scope: Scope.Closeable
  readonly info: ConnectionInfo | undefined
}

/** Connects within `timeout`, the handshake included if there is to be one. The connection lives in a scope below `parent`. */
export const openConnection = (options: {
  readonly transport: Transport["Service"]
  /** Provided to `connect`. */
  readonly peer: typeof Peer.Service
  readonly timeout: Duration.Duration
  readonly parent: Scope.Scope
  /** Called with the connection before anything is said on it. */
  readonly onConnection: (connection: Connection) => void
  readonly greet: ((connection: Connection) => Effect.Effect<ConnectionInfo, Reason>) | undefined
  readonly release: Releases["release"]
}): Effect.Effect<OpenConnection, Reason> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const { greet, onConnection, parent, peer, release, timeout, transport } = options
      const scope = Scope.forkUnsafe(parent)
      let opened: Connection | undefined
      const connect = transport.connect.pipe(
        Effect.provideService(Peer, peer),
        Effect.tap((connection) =>
          Effect.sync(() => {
            opened = connection
            onConnection(connection)
          })
        ),
        Effect.bindTo("connection"),
        Effect.bind("info", ({ connection }) => greet === undefined ? Effect.undefined : greet(connection)),
        Scope.provide(scope),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () =>
            Effect.fail(new ConnectTimeout({ timeout: Duration.toMillis(timeout), stderrTail: opened?.stderrTail() }))
        })
      )
      return restore(connect).pipe(
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : release({ scope, generation: 0 })),
        Effect.map((made) => ({ ...made, scope }))
      )
    })
  )
