/**
 * In-flight record: one object for each request, which holds its timeout and its permits, and which the connection settles.
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
import { deliveryOf, endOf } from "./deliveryRule.ts"

/** What all requests of one session have in common. */
export interface InFlightHost {
  readonly timers: Timers
  readonly admission: Admission
  /** How long all attempts of an operation may take together, in milliseconds. */
  readonly totalTimeout: number
}

export interface InFlightOptions {
  readonly host: InFlightHost
  readonly live: LiveConnection
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
  /** Receives the outcome. Has to call `release`. */
  readonly onEnd: (outcome: Exit.Exit<unknown, Reason>) => void
}

const closed = (delivery: Delivery): Reason => new TransportClosed({ delivery })

export class InFlight implements OutgoingRequest, Pending, Timer {
  readonly method: string
  readonly params: Record<string, unknown> | undefined
  readonly onProgress: ((progress: Progress) => void) | undefined
  id: string | number | undefined = undefined
  isWritten = false
  timerIndex = -1
  place = -1
  dueAt: number
  isLongRunning: boolean
  readonly #options: InFlightOptions
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

  get sentAt(): number {
    return this.#options.now
  }

  /** Sends the request. The permits were taken before. */
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
    return Effect.suspend(() => {
      if (this.#isEnded) return Effect.void
      this.#end()
      this.#options.live.cancel(this)
      return this.release() ?? Effect.void
    })
  }

  /**
   * Releases the permits. Returns the effect that hands them to waiting requests and closes a retired connection, if there is something to do.
   */
  release(): Effect.Effect<void> | undefined {
    const { host, live } = this.#options
    const released = host.admission.release()
    const closed = live.end(this)
    if (released === undefined) return closed
    return closed === undefined ? released : Effect.andThen(released, closed)
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

/** A request that was started without a fiber, for the caller that may have to cancel it. */
export type StartedCall = Pick<InFlight, "cancel">
