/**
 * Quotas: how many sessions and requests the gateway has at a time, and how many requests it begins in a second, for each principal and in all.
 */
import { FairShare, type Share } from "./fairShare.ts"
import type { SharedRates } from "./sharedRates.ts"
import { TokenBucket } from "./tokenBucket.ts"

/** The limits of a gateway. Each is a count; those of a principal hold for each. */
export interface QuotaLimits {
  readonly maxSessions: number
  readonly maxSessionsPerPrincipal: number
  readonly maxInFlight: number
  readonly maxInFlightPerPrincipal: number
  /** How many bytes the bodies of the requests in flight have. */
  readonly maxInFlightBytes: number
  readonly maxInFlightBytesPerPrincipal: number
  /** How many requests a principal may begin in a second, on average. It may begin twice as many at once. */
  readonly requestsPerSecond: number
}

/** How many rates are remembered before those that are not in use are forgotten. */
const rateLimit = 1024

/** The place of a request in flight. */
export interface RequestPlace {
  /** Takes bytes of the body. Returns `false` if there are too many in flight. */
  takeBytes(count: number): boolean
  /** Ends the request, and gives its bytes back. Ending it again does nothing. */
  readonly end: () => void
}

export class Quotas {
  readonly #requests: FairShare
  readonly #bytes: FairShare
  readonly #sessions: FairShare
  readonly #requestsPerSecond: number
  readonly #now: () => number
  readonly #sharedRates: SharedRates | undefined
  readonly #rates = new Map<string, TokenBucket>()
  readonly #idleListeners: Array<() => void> = []

  /** `now` gives monotonic time in milliseconds. With `sharedRates`, other gateways have a part in the rate of each principal. */
  constructor(limits: QuotaLimits, now: () => number, sharedRates?: SharedRates) {
    this.#requests = new FairShare({ limit: limits.maxInFlight, limitPerPrincipal: limits.maxInFlightPerPrincipal })
    this.#bytes = new FairShare({
      limit: limits.maxInFlightBytes,
      limitPerPrincipal: limits.maxInFlightBytesPerPrincipal
    })
    this.#sessions = new FairShare({ limit: limits.maxSessions, limitPerPrincipal: limits.maxSessionsPerPrincipal })
    this.#requestsPerSecond = limits.requestsPerSecond
    this.#now = now
    this.#sharedRates = sharedRates
  }

  /** The number of requests in flight. */
  get inFlight(): number {
    return this.#requests.used
  }

  /** Begins a request. Returns `undefined` if the limits do not admit it. */
  begin(principal: string): RequestPlace | undefined {
    const request = this.#requests.take(principal)
    if (request === undefined) return undefined
    const rate = this.#rateOf(principal)
    if (!rate.take(this.#now())) {
      request.end()
      return undefined
    }
    this.#sharedRates?.taken(principal, rate)
    const bytes = this.#bytes.take(principal, 0)
    return {
      takeBytes: (count) => bytes?.grow(count) === true,
      end: () => {
        bytes?.end()
        request.end()
        if (this.inFlight === 0) { for (const listener of this.#idleListeners.splice(0)) listener() }
      }
    }
  }

  /** Calls a function once no request is in flight. */
  whenIdle(listener: () => void): void {
    if (this.inFlight === 0) listener()
    else this.#idleListeners.push(listener)
  }

  /** Opens a session. Returns `undefined` if the limits do not admit it. */
  open(principal: string): Share | undefined {
    return this.#sessions.take(principal)
  }

  #rateOf(principal: string): TokenBucket {
    const known = this.#rates.get(principal)
    if (known !== undefined) return known
    if (this.#rates.size >= rateLimit) this.#forget()
    const rate = new TokenBucket(this.#requestsPerSecond, this.#now())
    this.#rates.set(principal, rate)
    return rate
  }

  /** Forgets the rates that do not limit anything now. */
  #forget(): void {
    for (const [principal, rate] of this.#rates) if (rate.isFull(this.#now())) this.#rates.delete(principal)
  }
}
