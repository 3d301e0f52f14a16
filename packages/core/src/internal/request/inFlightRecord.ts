/**
 * In-flight record: one object for each request, which holds its timeout, and which the connection settles.
 *
 * It needs no fiber. The connection stores the record in its table and calls `settle`; the timers call `fire` when the timeout is over; the
 * caller runs `cancel` when it is interrupted; the closed connection calls `abandon`. The first of the four ends the request.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { OutgoingRequest } from "../../Connection.ts"
import type { Progress } from "../../Mcp.ts"
import { type Delivery, type Reason, RequestTimeout, TransportClosed } from "../../SessionError.ts"
import type { LiveConnection, Pending } from "../connection/liveConnection.ts"
import type { Timer, Timers } from "../timers.ts"
import type { Admission } from "./admission.ts"
import type { Attempt } from "./attempt.ts"
import { deliveryOf, endOf } from "./deliveryRule.ts"
import type { Kind } from "./operation.ts"
import type { Writes, Written } from "./writes.ts"

/** What all requests of one session have in common. */
export interface InFlightHost {
  readonly timers: Timers
  readonly admission: Admission
  /** How long all attempts of an operation may take together, in milliseconds. */
  readonly totalTimeout: number
  /** Called with a request that its caller gave up. */
  readonly onDropped: (request: InFlight, live: LiveConnection) => void
}

export interface InFlightOptions {
  readonly host: InFlightHost
  readonly live: LiveConnection
  /** Owns the permits, which were taken before `start`. */
  readonly attempt: Attempt
  readonly kind: Kind
  readonly method: string
  readonly params: Record<string, unknown> | undefined
  readonly onProgress: ((progress: Progress) => void) | undefined
  /** How long the server may take, in milliseconds. */
  readonly timeout: number
  /** Whether the operation has a timeout of its own that is longer than the wait for a ping. */
  readonly isLongRunning: boolean
  /** The time at which the whole operation times out, in milliseconds of monotonic time. */
  readonly latest: number
  readonly now: number
  /** The record of the operation, if somebody asks it. */
  readonly writes: Writes | undefined
  /** Receives the outcome. Has to release the attempt. */
  readonly onEnd: (outcome: Exit.Exit<unknown, Reason>) => void
}

const closed = (delivery: Delivery): Reason => new TransportClosed({ delivery })

export class InFlight implements OutgoingRequest, Pending, StartedCall, Timer, Written {
  readonly method: string
  readonly params: Record<string, unknown> | undefined
  readonly onProgress: ((progress: Progress) => void) | undefined
  id: string | number | undefined = undefined
  timerIndex = -1
  place = -1
  dueAt: number
  isLongRunning: boolean
  readonly #options: InFlightOptions
  #isWritten = false
  #isRefused = false
  #isEnded = false

  constructor(options: InFlightOptions) {
    const { latest, live, method, now, onProgress, params, timeout } = options
    this.#options = options
    this.method = method
    this.params = params
    this.dueAt = Math.min(now + timeout, latest)
    this.isLongRunning = options.isLongRunning
    this.onProgress = onProgress === undefined ? undefined : (progress) => {
      const { timers } = options.host
      const now = timers.now()
      live.heardAt = now
      this.isLongRunning = true
      this.dueAt = Math.min(now + timeout, latest)
      onProgress(progress)
    }
  }

  /** The request of a started call, which may be more than its request. */
  get flight(): InFlight {
    return this
  }

  get kind(): Kind {
    return this.#options.kind
  }

  get sentAtWall(): number {
    return this.#options.host.timers.toWall(this.#options.now)
  }

  get sentAt(): number {
    return this.#options.now
  }

  get isWritten(): boolean {
    return this.#isWritten
  }

  /** Whether a byte of it may have left, and the server did not refuse it. */
  get mayHaveRun(): boolean {
    return this.#isWritten && !this.#isRefused
  }

  /** Written by the connection. */
  set isWritten(isWritten: boolean) {
    if (isWritten === this.#isWritten) return
    this.#isWritten = isWritten
    if (isWritten) this.#options.writes?.written(this)
    else this.#options.writes?.refused(this)
  }

  /** Sends the request. */
  start(): void {
    const { host, live } = this.#options
    live.begin(this)
    host.timers.set(this)
    live.send(this)
  }

  settle(outcome: Exit.Exit<unknown, Reason>): void {
    if (this.#isEnded) return
    this.#end()
    this.#options.onEnd(Exit.isSuccess(outcome) ? outcome : this.#honest(outcome))
  }

  /** Called by the timers. */
  fire(): void {
    const { host, latest, method } = this.#options
    const timeout = this.dueAt === latest ? host.totalTimeout : this.#options.timeout
    this.#giveUp((delivery) => new RequestTimeout({ method, timeout, delivery }))
  }

  /** Called once the connection is closed, or its server is taken for gone. */
  abandon(reasonOf: (delivery: Delivery) => Reason = closed): void {
    this.#giveUp(reasonOf)
  }

  /** Gives up the request, without an outcome. */
  get cancel(): Effect.Effect<void> {
    return Effect.sync(() => this.drop())
  }

  /** Gives up the request, without an outcome. */
  drop(): void {
    if (!this.#isEnded) {
      const { host, live } = this.#options
      this.#end()
      live.cancel(this)
      host.onDropped(this, live)
    }
    this.#options.attempt.release()
  }

  /** Records that the server refused the request before it ran. */
  refused(): void {
    if (!this.#isWritten || this.#isRefused) return
    this.#isRefused = true
    this.#options.writes?.refused(this)
  }

  /** Leaves the requests in flight on the connection. Called by the attempt. */
  leave(): void {
    this.#options.live.end(this)
  }

  #honest(outcome: Exit.Exit<unknown, Reason>): Exit.Exit<unknown, Reason> {
    const { isWritten } = this
    return isWritten ? Exit.mapError(outcome, (reason) => endOf(reason, isWritten)) : outcome
  }

  #giveUp(reasonOf: (delivery: Delivery) => Reason): void {
    if (this.#isEnded) return
    this.#end()
    this.#options.live.cancel(this)
    this.#options.onEnd(Exit.fail(reasonOf(deliveryOf(this.isWritten))))
  }

  #end(): void {
    this.#isEnded = true
    this.#options.host.timers.clear(this)
  }
}

/** A request that was started without a fiber, for the caller that may have to give it up. */
export interface StartedCall {
  readonly drop: () => void
  readonly flight: InFlight
}

/**
 * Receives the end of a call without a fiber: the result, or the effect that leads to the outcome after its request, `failed`, has failed.
 */
export type OnEnd<A, E> = (outcome: Effect.Effect<A, E>, failed: InFlight | undefined) => void
