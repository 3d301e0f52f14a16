/**
 * Running call: one promise that is not settled yet, and what it runs on.
 *
 * It is the record of the requests that it has written. So whatever ends it early rejects it with what became of its requests, and never with
 * what the class of some reason says.
 */
import type * as Fiber from "effect/Fiber"
import { Cancelled, SessionClosed, SessionError, TransportClosed } from "../../SessionError.ts"
import type { InBag } from "../bag.ts"
import type { StartedCall } from "../request/inFlightRecord.ts"
import { Writes } from "../request/writes.ts"
import type { Signal } from "./promised.ts"

export class RunningCall extends Writes implements InBag {
  place = -1
  /** The request, while the call has no fiber. */
  flight: StartedCall | undefined = undefined
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  readonly #server: string
  readonly #reject: (error: unknown) => void

  constructor(server: string, parent: Writes | undefined, reject: (error: unknown) => void) {
    super(parent)
    this.#server = server
    this.#reject = reject
  }

  /** The error of a call that ends because what it runs on is closed. */
  get closed(): SessionError {
    const reason = this.endOf(new TransportClosed({ delivery: "Unknown" })) ?? new SessionClosed()
    return new SessionError({ server: this.#server, reason })
  }

  /** The error of a call whose signal was aborted. */
  cancelled(signal: Signal): SessionError {
    return cancelled(this.#server, signal, this.isWritten ? "Unknown" : "NotSent")
  }

  /** Ends the call. Returns the fiber to wait for, whose end rejects the promise; without one the promise is rejected at once. */
  end(): Fiber.Fiber<unknown, unknown> | undefined {
    if (this.fiber !== undefined) {
      this.fiber.interruptUnsafe()
      return this.fiber
    }
    this.flight?.drop()
    this.flight = undefined
    this.#reject(this.closed)
    return undefined
  }
}

export const cancelled = (server: string, signal: Signal, delivery: "NotSent" | "Unknown"): SessionError =>
  new SessionError({ server, reason: new Cancelled({ delivery, cause: signal.reason }) })

/**
 * Ends calls. Those that have written nothing come first: the others give back permits, with which a waiting call would be sent. Returns the
 * fibers to wait for.
 */
export const endAll = (calls: Iterable<RunningCall>): ReadonlyArray<Fiber.Fiber<unknown, unknown>> => {
  const all = [...calls].toSorted((one, other) => Number(one.isWritten) - Number(other.isWritten))
  return all.flatMap((call) => call.end() ?? [])
}
