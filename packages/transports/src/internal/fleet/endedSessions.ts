/**
 * Ended sessions: those that their clients have ended. Their tickets open until they expire, so a process remembers their names until then.
 */
import { lifetime } from "./ticket.ts"

/** How many are remembered. The oldest are forgotten first. */
export const endedLimit = 10_000

/** An ended session, and until when its ticket may open, in milliseconds since the epoch. */
export interface Ended {
  readonly name: string
  readonly until: number
}

export class EndedSessions {
  readonly #now: () => number
  readonly #untilByName = new Map<string, number>()

  /** `now` gives the time of day in milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Remembers a session that ends now. */
  end(name: string): Ended {
    const ended = { name, until: this.#now() + lifetime * 1000 }
    this.add(ended)
    return ended
  }

  /** Remembers a session that has ended. */
  add({ name, until }: Ended): void {
    const now = this.#now()
    for (const [oldest, expiresAt] of this.#untilByName) {
      if (this.#untilByName.size < endedLimit && expiresAt > now) break
      this.#untilByName.delete(oldest)
    }
    this.#untilByName.set(name, until)
  }

  has(name: string): boolean {
    return this.#untilByName.has(name)
  }

  /** All that are remembered, the oldest first. */
  get all(): ReadonlyArray<Ended> {
    return Array.from(this.#untilByName, ([name, until]) => ({ name, until }))
  }
}
