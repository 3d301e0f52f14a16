/**
 * Quotas: how many sessions and requests the gateway has at a time, and how many requests it begins in a second, for each principal and in all.
 *
 * The limits are fair: while the gateway is full, a principal below its equal share is admitted, and one above it is refused.
 */
import type { SharedRates } from "./sharedRates.ts"
import { TokenBucket } from "./tokenBucket.ts"

/** The limits of a gateway. Each is a count; those of a principal hold for each. */
export interface QuotaLimits {
  readonly maxSessions: number
  readonly maxSessionsPerPrincipal: number
  readonly maxInFlight: number
  readonly maxInFlightPerPrincipal: number
  /** How many requests a principal may begin in a second, on average. It may begin twice as many at once. */
  readonly requestsPerSecond: number
}

/** How many principals are remembered before those that use nothing are forgotten. */
const usageLimit = 1024

/** What one principal uses. */
class Usage {
  inFlight = 0
  sessions = 0
  readonly bucket: TokenBucket

  constructor(bucket: TokenBucket) {
    this.bucket = bucket
  }
}

export class Quotas {
  readonly #limits: QuotaLimits
  readonly #now: () => number
  readonly #sharedRates: SharedRates | undefined
  readonly #usages = new Map<string, Usage>()
  readonly #waiting: Array<() => void> = []
  #inFlight = 0
  #sessions = 0

  /** `now` gives monotonic time in milliseconds. With `sharedRates`, other gateways have a part in the rate of each principal. */
  constructor(limits: QuotaLimits, now: () => number, sharedRates?: SharedRates) {
    this.#limits = limits
    this.#now = now
    this.#sharedRates = sharedRates
  }

  /** The number of POSTs in flight. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Begins a request, if the limits admit it. Each request that began has to {@link end}. */
  begin(principal: string): boolean {
    const usage = this.#usageOf(principal)
    const { maxInFlight, maxInFlightPerPrincipal } = this.#limits
    if (usage.inFlight >= maxInFlightPerPrincipal) return false
    if (
      this.#inFlight >= maxInFlight &&
      usage.inFlight >= maxInFlight / this.#active(({ inFlight }) => inFlight > 0, usage)
    ) return false
    if (!usage.bucket.take(this.#now())) return false
    this.#sharedRates?.taken(principal, usage.bucket)
    usage.inFlight++
    this.#inFlight++
    return true
  }

  /** Ends a request. */
  end(principal: string): void {
    const usage = this.#usages.get(principal)
    if (usage === undefined) return
    usage.inFlight--
    this.#inFlight--
    if (this.#inFlight === 0) { for (const listener of this.#waiting.splice(0)) listener() }
  }

  /** Calls a function once no request is in flight. */
  whenIdle(listener: () => void): void {
    if (this.#inFlight === 0) listener()
    else this.#waiting.push(listener)
  }

  /** Opens a session, if the limits admit it. Each session that was opened has to {@link close}. */
  open(principal: string): boolean {
    const usage = this.#usageOf(principal)
    const { maxSessions, maxSessionsPerPrincipal } = this.#limits
    if (usage.sessions >= maxSessionsPerPrincipal) return false
    if (
      this.#sessions >= maxSessions &&
      usage.sessions >= maxSessions / this.#active(({ sessions }) => sessions > 0, usage)
    ) return false
    usage.sessions++
    this.#sessions++
    return true
  }

  /** Closes a session. */
  close(principal: string): void {
    const usage = this.#usages.get(principal)
    if (usage === undefined) return
    usage.sessions--
    this.#sessions--
  }

  /** The number of principals that use something, with this one. */
  #active(isActive: (usage: Usage) => boolean, own: Usage): number {
    let count = 0
    for (const usage of this.#usages.values()) if (usage === own || isActive(usage)) count++
    return count
  }

  #usageOf(principal: string): Usage {
    const known = this.#usages.get(principal)
    if (known !== undefined) return known
    if (this.#usages.size >= usageLimit) this.#forget()
    const usage = new Usage(new TokenBucket(this.#limits.requestsPerSecond, this.#now()))
    this.#usages.set(principal, usage)
    return usage
  }

  /** Forgets the principals that use nothing, and whose rate is not limited now. */
  #forget(): void {
    for (const [principal, usage] of this.#usages) {
      if (usage.inFlight > 0 || usage.sessions > 0) continue
      if (usage.bucket.isFull(this.#now())) this.#usages.delete(principal)
    }
  }
}
