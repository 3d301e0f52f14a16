/**
 * A connection in use: the channel, its handshake, and the requests in flight on it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AnySpan } from "effect/Tracer"
import type { Connection, ConnectionInfo } from "../../Connection.ts"

export class LiveConnection {
  readonly generation: number
  readonly connection: Connection
  readonly scope: Scope.Closeable
  /** The span in which the connection was made, if that was traced. */
  readonly span: AnySpan | undefined
  /** The result of the handshake; `undefined` until a manual handshake has been made. */
  info: ConnectionInfo | undefined
  /** When the server last sent anything on it, in milliseconds since the epoch. */
  heardAt: number
  /** Whether its loss was recorded in the health of the server: once, for any number of requests in flight. */
  isLossRecorded = false
  /** Completes when the connection is retired. */
  readonly retired = Deferred.makeUnsafe<void>()
  readonly #release: (live: LiveConnection) => Effect.Effect<void>
  #isRetired = false
  #inFlight = 0

  constructor(options: {
    readonly generation: number
    readonly connection: Connection
    readonly scope: Scope.Closeable
    readonly span: AnySpan | undefined
    readonly info: ConnectionInfo | undefined
    readonly now: number
    /** Closes the connection in the background. Run once the connection is retired and no request is in flight. */
    readonly release: (live: LiveConnection) => Effect.Effect<void>
  }) {
    this.generation = options.generation
    this.connection = options.connection
    this.scope = options.scope
    this.span = options.span
    this.info = options.info
    this.heardAt = options.now
    this.#release = options.release
  }

  /** The number of requests in flight. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Whether new requests go to another connection. Requests in flight stay and learn their own outcome. */
  get isRetired(): boolean {
    return this.#isRetired
  }

  /** Counts an effect as a request in flight. */
  use<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      this.begin()
      return Effect.onExit(effect, () => this.end() ?? Effect.void)
    })
  }

  /** Counts a request in flight, for callers without an effect: the in-flight record alone. */
  begin(): void {
    this.#inFlight++
  }

  /** Ends what `begin` began. Returns the effect that closes a retired connection after its last request. */
  end(): Effect.Effect<void> | undefined {
    this.#inFlight--
    return this.#isRetired && this.#inFlight === 0 ? this.#release(this) : undefined
  }

  /** Retires the connection, and closes it once no request is in flight. */
  get retire(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#isRetired = true
      Deferred.doneUnsafe(this.retired, Effect.void)
      return this.#inFlight === 0 ? this.#release(this) : Effect.void
    })
  }
}
