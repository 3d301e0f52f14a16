/**
 * One attempt to connect, in bounded time. It leaves either a connection or nothing.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import { type ConnectReason, ConnectTimeout } from "../../SessionError.ts"
import { Peer, ProcessStart, type Transport } from "../../Transport.ts"
import type { Cleanup } from "./cleanup.ts"
import type { Passage, StartGate } from "./startGate.ts"

/** A connection and the scope that it lives in. */
export interface Connected {
  readonly connection: Connection
  readonly scope: Scope.Closeable
  /** The result of the handshake, if there was one. */
  readonly info: ConnectionInfo | undefined
}

/** Waits for a time in milliseconds, and as long again as the attempt waited to start its process. */
const expired = (millis: number, passage: Passage | undefined): Effect.Effect<void> => {
  const sleepUntil = (slept: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const left = millis + (passage?.waited() ?? 0) - slept
      return left > 0 ? Effect.andThen(Effect.sleep(left), sleepUntil(slept + left)) : Effect.void
    })
  return sleepUntil(0)
}

/** Says why a connect failed whose time is up: the server may have refused it. */
export const timeoutReason = (connection: Connection | undefined, timeout: Duration.Duration): ConnectReason =>
  connection?.refusal?.() ??
    new ConnectTimeout({
      timeout: Duration.toMillis(timeout),
      pending: connection?.pending?.(),
      stderrTail: connection?.stderrTail()
    })

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
  /** Limits process starts. Waiting for it does not count against `timeout`. */
  readonly gate: StartGate | undefined
}): Effect.Effect<Connected, ConnectReason> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const { cleanup, gate, handshake, onConnection, parent, peer, timeout, transport } = options
      const scope = Scope.forkUnsafe(parent)
      const passage = gate?.pass()
      let opened: Connection | undefined
      const open = Effect.provideService(transport.connect, Peer, peer)
      const attempt = Effect.gen(function*() {
        const connection = opened = yield* (passage === undefined
          ? open
          : Effect.provideService(open, ProcessStart, passage.enter))
        onConnection(connection)
        return { connection, scope, info: handshake === undefined ? undefined : yield* handshake(connection) }
      }).pipe(
        Scope.provide(scope),
        Effect.raceFirst(Effect.flatMap(
          expired(Duration.toMillis(timeout), passage),
          () => Effect.fail(timeoutReason(opened, timeout))
        ))
      )
      return Effect.onExit(
        restore(attempt),
        (exit) => Exit.isSuccess(exit) ? Effect.void : cleanup.start({ scope, generation: 0 })
      )
    })
  )
