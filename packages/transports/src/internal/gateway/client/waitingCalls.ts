/**
 * Waiting calls: those whose servers ask their clients, from the first question until all are answered.
 *
 * A waiting call may take minutes, and holds a permit of its server and one of its session there. So that other calls go on, calls that wait have at
 * most half of these permits, beside limits of their own.
 */
import { FairShare, type Share } from "../admission/fairShare.ts"
import type { ClientCall } from "./clientCall.ts"
import type { ClientSession } from "./clientSession.ts"

export interface WaitingLimits {
  /** How many calls wait at a time. */
  readonly maxWaiting: number
  readonly maxWaitingPerPrincipal: number
}

/** How many requests are in flight at a server, and on one session there. */
export interface Permits {
  readonly maxInFlight: number
  readonly maxInFlightTotal: number
}

/** The shares of calls that wait at one server. */
interface ServerShares {
  readonly byPrincipal: FairShare
  readonly bySession: FairShare
}

/** A call that waits, and how many of its questions are open. */
interface Waiting {
  questions: number
  readonly shares: ReadonlyArray<Share>
}

/** The part of the permits that calls which wait may have. A server with one permit is asked for nothing else meanwhile. */
const half = (permits: number): number => Math.max(1, Math.floor(permits / 2))

export class WaitingCalls {
  readonly #all: FairShare
  readonly #permitsOf: (server: string) => Permits | undefined
  readonly #servers = new Map<string, ServerShares>()
  readonly #waiting = new Map<object, Waiting>()

  constructor({ limits, permitsOf }: {
    readonly limits: WaitingLimits
    /** Gives the permits of a server; `undefined` for one that is not offered. */
    readonly permitsOf: (server: string) => Permits | undefined
  }) {
    this.#all = new FairShare({ limit: limits.maxWaiting, limitPerPrincipal: limits.maxWaitingPerPrincipal })
    this.#permitsOf = permitsOf
  }

  /**
   * Begins a question about a call, or about none that is known. Returns what ends the question, or `undefined` if the limits do not admit that
   * the call waits.
   */
  begin({ call = {}, client, server }: {
    readonly client: Pick<ClientSession, "name" | "principal">
    readonly server: string
    readonly call: ClientCall | object | undefined
  }): (() => void) | undefined {
    const waiting = this.#waiting.get(call) ?? this.#admit(client, server)
    if (waiting === undefined) return undefined
    waiting.questions++
    this.#waiting.set(call, waiting)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      if (--waiting.questions > 0) return
      this.#waiting.delete(call)
      for (const share of waiting.shares) share.end()
    }
  }

  #admit({ name, principal }: Pick<ClientSession, "name" | "principal">, server: string): Waiting | undefined {
    const shares: Array<Share> = []
    const { byPrincipal, bySession } = this.#sharesAt(server)
    for (const [fair, holder] of [[this.#all, principal], [byPrincipal, principal], [bySession, name]] as const) {
      const share = fair.take(holder)
      if (share === undefined) {
        for (const taken of shares) taken.end()
        return undefined
      }
      shares.push(share)
    }
    return { questions: 0, shares }
  }

  #sharesAt(server: string): ServerShares {
    const known = this.#servers.get(server)
    if (known !== undefined) return known
    const { maxInFlight, maxInFlightTotal } = this.#permitsOf(server) ?? { maxInFlight: 1, maxInFlightTotal: 1 }
    const limit = half(maxInFlightTotal)
    const made = {
      byPrincipal: new FairShare({ limit, limitPerPrincipal: limit, isStrict: true }),
      bySession: new FairShare({ limit: Infinity, limitPerPrincipal: half(maxInFlight) })
    }
    this.#servers.set(server, made)
    return made
  }
}
