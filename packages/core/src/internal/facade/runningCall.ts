/**
 * Running call: one promise that is not settled yet, and what it runs on.
 *
 * Whatever ends it early rejects it with what became of its requests, and never with what the class of some reason says: while it has no fiber,
 * its one request knows that; after that, the record of the requests that it wrote.
 */
import type * as Fiber from "effect/Fiber"
import { Cancelled, type Reason, SessionClosed, SessionError, TransportClosed } from "../../SessionError.ts"
import type { InBag } from "../bag.ts"
import type { InFlight, StartedCall } from "../request/inFlightRecord.ts"
import { givenUp, Writes } from "../request/writes.ts"
import type { Signal } from "./promised.ts"

/** What closing does to a request. */
const lost = new TransportClosed({ delivery: "Unknown" })

export class RunningCall implements InBag {
  place = -1
  /** What the call runs on: a request, or a fiber and its record of requests. */
  started: StartedCall | undefined = undefined
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  writes: Writes | undefined = undefined
  readonly #server: string
  readonly #reject: (error: unknown) => void

  constructor(server: string, reject: (error: unknown) => void) {
    this.#server = server
    this.#reject = reject
  }

  get isWritten(): boolean {
    return this.writes?.isWritten ?? this.started?.flight.mayHaveRun ?? false
  }

  /** The error of a call that ends because what it runs on is closed. */
  get closed(): SessionError {
    return new SessionError({ server: this.#server, reason: this.#givenUp() ?? new SessionClosed() })
  }

  /** The error of a call whose signal was aborted. */
  cancelled(signal: Signal): SessionError {
    return cancelled(this.#server, signal, this.isWritten ? "Unknown" : "NotSent")
  }

  /** Prepares for a fiber, which runs the call, or what follows after its request `failed`. Returns the record for it. */
  record(parent: Writes | undefined, failed?: InFlight): Writes {
    this.started = undefined
    this.writes = new Writes(parent, failed?.mayHaveRun === true ? failed : undefined)
    return this.writes
  }

  /** Ends the call. Returns the fiber to wait for, whose end rejects the promise; without one the promise is rejected at once. */
  end(): Fiber.Fiber<unknown, unknown> | undefined {
    if (this.fiber !== undefined) {
      this.fiber.interruptUnsafe()
      return this.fiber
    }
    this.started?.drop()
    this.#reject(this.closed)
    return undefined
  }

  #givenUp(): Reason | undefined {
    if (this.writes !== undefined) return this.writes.givenUp(lost)
    const flight = this.started?.flight
    return flight?.mayHaveRun === true ? givenUp(flight, lost) : undefined
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
