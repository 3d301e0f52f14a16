/**
 * A connection in use: the channel, its handshake, and the requests in flight on it.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { AnySpan } from "effect/Tracer"
import type { Connection, ConnectionInfo, OutgoingRequest } from "../../Connection.ts"
import type { Delivery, Reason } from "../../SessionError.ts"
import { Bag, type InBag } from "../bag.ts"
import type { Durations } from "../telemetry/durations.ts"

/** A request in flight without an effect. */
export interface Pending extends InBag {
  /** When it was sent, in milliseconds of monotonic time. */
  readonly sentAt: number
  /** Whether the server may be busy with it for long and answer no ping meanwhile: it has a timeout of its own, or has reported progress. */
  readonly isLongRunning: boolean
  /** Ends the request if the connection has not, by default because the connection is closed. */
  readonly abandon: (reasonOf?: (delivery: Delivery) => Reason) => void
}

export class LiveConnection {
  readonly generation: number
  readonly connection: Connection
  readonly scope: Scope.Closeable
  /** The span in which the connection was made, if that was traced. */
  readonly span: AnySpan | undefined
  /** The result of the handshake; `undefined` until a manual handshake has been made. */
  info: ConnectionInfo | undefined
  /** The durations of its requests, once there is one. */
  durations: Durations | undefined
  /** When it was made, in milliseconds of monotonic time. */
  readonly openedAt: number
  /** When the server last sent anything on it, in milliseconds of monotonic time. */
  heardAt: number
  /** Whether a request has timed out on it since the server last answered a ping. */
  hasTimedOut = false
  /** Whether its loss was recorded in the health of the server: once, for any number of requests in flight. */
  isLossRecorded = false
  /** Completes when the connection is retired. */
  readonly retired = Deferred.makeUnsafe<void>()
  readonly #release: (live: LiveConnection) => Effect.Effect<void>
  readonly #context: Context.Context<never>
  readonly #requests = new Bag<Pending>()
  #isRetired = false
  #isReleased = false
  /** The number of effects in flight. */
  #effects = 0

  constructor(options: {
    readonly generation: number
    readonly connection: Connection
    readonly scope: Scope.Closeable
    readonly span: AnySpan | undefined
    readonly info: ConnectionInfo | undefined
    readonly now: number
    /** The context in which it was made. */
    readonly context: Context.Context<never>
    /** Closes the connection in the background. Run once the connection is retired and no request is in flight. */
    readonly release: (live: LiveConnection) => Effect.Effect<void>
  }) {
    this.generation = options.generation
    this.connection = options.connection
    this.scope = options.scope
    this.span = options.span
    this.info = options.info
    this.openedAt = options.now
    this.heardAt = options.now
    this.#context = options.context
    this.#release = options.release
  }

  /** The number of requests in flight. */
  get inFlight(): number {
    return this.#requests.size + this.#effects
  }

  /** Whether new requests go to another connection. Requests in flight stay and learn their own outcome. */
  get isRetired(): boolean {
    return this.#isRetired
  }

  /** Counts an effect as a request in flight. */
  use<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) => {
      this.#effects++
      return Effect.onExit(restore(effect), () =>
        Effect.sync(() => {
          this.#effects--
          this.#closeIfUnused()
        }))
    })
  }

  /** Counts a request in flight, for callers without an effect: the in-flight record alone. */
  begin(request: Pending): void {
    this.#requests.add(request)
  }

  /** Ends what `begin` began. Does nothing the second time. Closes a retired connection after its last request. */
  end(request: Pending): void {
    if (request.place < 0) return
    this.#requests.remove(request)
    this.#closeIfUnused()
  }

  /** Sends a request. Never throws: a defect of the connection ends the request. */
  send(request: OutgoingRequest): void {
    try {
      this.connection.send(request)
    } catch (defect) {
      request.settle(Exit.die(defect))
    }
  }

  /** Gives up a request. Never throws: the caller has an outcome already, so a defect of the connection is logged. */
  cancel(request: OutgoingRequest): void {
    try {
      this.connection.cancel(request)
    } catch (defect) {
      Effect.runForkWith(this.#context)(Effect.logError("a connection failed to cancel a request", Cause.die(defect)))
    }
  }

  /** Whether one of the requests in flight is long-running. */
  get isLongRunning(): boolean {
    return this.#requests.some((request) => request.isLongRunning)
  }

  /** When the latest request that is in flight and not long-running was sent. `-Infinity` without such a request. */
  get lastSentAt(): number {
    let latest = Number.NEGATIVE_INFINITY
    for (const { isLongRunning, sentAt } of this.#requests.all()) if (!isLongRunning && sentAt > latest) latest = sentAt
    return latest
  }

  /** Ends the requests in flight that are not long-running: the server is gone. */
  abandonOrdinary(reasonOf: (delivery: Delivery) => Reason): void {
    for (const request of this.#requests.all()) if (!request.isLongRunning) request.abandon(reasonOf)
  }

  /** Ends the requests that the connection has not ended, now that it is closed. */
  abandon(): void {
    for (const request of this.#requests.all()) request.abandon()
  }

  /** Retires the connection, and closes it once no request is in flight. */
  get retire(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#isRetired = true
      Deferred.doneUnsafe(this.retired, Effect.void)
      this.#closeIfUnused()
    })
  }

  /** Runs in the context of the connection: the fiber of the last request may be interrupted, and an unused connection has no request. */
  #closeIfUnused(): void {
    if (!this.#isRetired || this.inFlight > 0 || this.#isReleased) return
    this.#isReleased = true
    Effect.runForkWith(this.#context)(this.#release(this))
  }
}
