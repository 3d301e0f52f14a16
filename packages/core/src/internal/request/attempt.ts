/**
 * Attempt: one try of an operation on one connection. It owns the permits of the request and its place among the requests in flight, and
 * gives both back once, whatever ends it first: the outcome, an interruption, or a failure before anything was sent.
 */
import type * as Effect from "effect/Effect"
import type { Reason } from "../../SessionError.ts"
import type { Admission } from "./admission.ts"
import type { InFlight } from "./inFlightRecord.ts"

export class Attempt {
  /** When the request was sent, in milliseconds of monotonic time. */
  sentAt: number
  /** The epoch of the rate limit that the request was sent in. */
  epoch = 0
  /** The request, for an operation that is one request. */
  flight: InFlight | undefined = undefined
  /** Whether an operation of several requests has begun to send them. */
  hasBegun = false
  /** Whether it passes an open circuit. */
  readonly isProbe: boolean
  readonly #admission: Admission
  #isAdmitted = false

  constructor(admission: Admission, sentAt: number, isProbe: boolean) {
    this.#admission = admission
    this.sentAt = sentAt
    this.isProbe = isProbe
  }

  /** Whether a byte of a request may have left. */
  get isWritten(): boolean {
    return this.hasBegun || this.flight?.isWritten === true
  }

  /** Whether a request was made. */
  get isStarted(): boolean {
    return this.hasBegun || this.flight !== undefined
  }

  /** Takes the permits if they are free and no rate limit applies. */
  tryTake(): boolean {
    this.#isAdmitted = this.#admission.tryTake()
    return this.#isAdmitted
  }

  /** Waits for the permits until `latest`. */
  wait({ latest, method }: { readonly method: string; readonly latest: number }): Effect.Effect<void, Reason> {
    return this.#admission.wait({
      method,
      latest,
      isProbe: this.isProbe,
      onTaken: (epoch) => {
        this.#isAdmitted = true
        this.epoch = epoch
      }
    })
  }

  /** Gives back the permits of a request that stays in flight. */
  releasePermits(): void {
    if (!this.#isAdmitted) return
    this.#isAdmitted = false
    this.#admission.release()
  }

  /** Gives back what the attempt holds. Does nothing the second time. */
  release(): void {
    this.flight?.leave()
    this.releasePermits()
  }
}
