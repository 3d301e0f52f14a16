/**
 * Kept messages: what a gateway keeps for its clients, until they resume a stream or open one.
 *
 * All clients share one bound. Beyond it, the principal for which most is kept loses messages, of the session for which most is kept. So a
 * principal keeps what is below its equal share.
 */

/** How many characters a gateway keeps for all its clients. */
const totalLimit = 64 * 1024 ** 2

/** Keeps messages, and can forget them. */
export interface Keeper {
  /** How many characters it keeps. */
  readonly size: number
  /** Forgets all messages that it keeps. */
  forget(): void
}

/** The sessions of a principal for which something is kept. */
interface Principal {
  size: number
  readonly sessions: Set<SessionMessages>
}

/** The one of the largest size. */
const largest = <A extends { readonly size: number }>(all: Iterable<A>): A | undefined => {
  let found: A | undefined
  for (const one of all) if (found === undefined || one.size > found.size) found = one
  return found
}

/** What is kept for one session. */
export class SessionMessages {
  readonly #onChange: (change: number) => void
  /** Those that keep something, the one that began first before the others. */
  readonly #keepers = new Set<Keeper>()
  #size = 0

  constructor(onChange: (change: number) => void) {
    this.#onChange = onChange
  }

  /** How many characters are kept. */
  get size(): number {
    return this.#size
  }

  /** Counts characters that a keeper has added. While there are too many for all clients, keepers forget theirs. */
  add(keeper: Keeper, size: number): void {
    this.#size += size
    this.#keepers.add(keeper)
    this.#onChange(size)
  }

  /** Counts characters that a keeper has forgotten. */
  remove(keeper: Keeper, size: number): void {
    this.#size -= size
    if (keeper.size === 0) this.#keepers.delete(keeper)
    this.#onChange(-size)
  }

  /** Has the keeper forget that began first. */
  forget(): void {
    for (const keeper of this.#keepers) return keeper.forget()
  }
}

export class KeptMessages {
  readonly #limit: number
  readonly #principals = new Map<string, Principal>()
  #total = 0

  /** `limit` is in characters. */
  constructor(limit: number = totalLimit) {
    this.#limit = limit
  }

  /** Gives what counts the messages that are kept for one session of a principal. */
  of(principal: string): SessionMessages {
    const session: SessionMessages = new SessionMessages((change) => this.#count(principal, session, change))
    return session
  }

  #count(principal: string, session: SessionMessages, change: number): void {
    const own = this.#principals.get(principal) ?? { size: 0, sessions: new Set() }
    this.#total += change
    own.size += change
    if (session.size > 0) own.sessions.add(session)
    else own.sessions.delete(session)
    if (own.size > 0) this.#principals.set(principal, own)
    else this.#principals.delete(principal)
    if (change <= 0) return
    while (this.#total > this.#limit) largest(largest(this.#principals.values())?.sessions ?? [])?.forget()
  }
}
