/**
 * Fair share: an amount that principals use together, of which each has the same share.
 *
 * While all of it is in use, a principal below its equal share is admitted, and one above it is refused.
 */

/** A part of the amount that a principal uses until it ends. Ending it again does nothing. */
export class Share {
  readonly #end: (amount: number) => void
  readonly #grow: (amount: number) => boolean
  #amount: number
  #isOver = false

  constructor({ amount, end, grow }: {
    readonly amount: number
    readonly grow: (amount: number) => boolean
    readonly end: (amount: number) => void
  }) {
    this.#amount = amount
    this.#grow = grow
    this.#end = end
  }

  /** Takes more. Returns `false` if the limits do not admit it, or the share has ended. */
  grow(amount: number): boolean {
    if (this.#isOver || !this.#grow(amount)) return false
    this.#amount += amount
    return true
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#end(this.#amount)
  }
}

export class FairShare {
  readonly #limit: number
  readonly #limitPerPrincipal: number
  readonly #isStrict: boolean
  /** What each principal uses that uses something. */
  readonly #usedBy = new Map<string, number>()
  #used = 0

  /** With `isStrict`, no principal is admitted while all of it is in use. */
  constructor({ isStrict = false, limit, limitPerPrincipal }: {
    readonly limit: number
    readonly limitPerPrincipal: number
    readonly isStrict?: boolean | undefined
  }) {
    this.#isStrict = isStrict
    this.#limit = limit
    this.#limitPerPrincipal = limitPerPrincipal
  }

  /** What all principals use. */
  get used(): number {
    return this.#used
  }

  /** Takes an amount. Returns `undefined` if the limits do not admit it. */
  take(principal: string, amount = 1): Share | undefined {
    const grow = (amount: number) => this.#add(principal, amount)
    return grow(amount) ? new Share({ amount, grow, end: (amount) => this.#remove(principal, amount) }) : undefined
  }

  #add(principal: string, amount: number): boolean {
    const own = this.#usedBy.get(principal) ?? 0
    if (own + amount > this.#limitPerPrincipal) return false
    const active = this.#usedBy.size + (own === 0 ? 1 : 0)
    if (this.#used + amount > this.#limit && (this.#isStrict || own >= this.#limit / active)) return false
    if (amount > 0) this.#usedBy.set(principal, own + amount)
    this.#used += amount
    return true
  }

  #remove(principal: string, amount: number): void {
    const left = (this.#usedBy.get(principal) ?? 0) - amount
    this.#used -= amount
    if (left > 0) this.#usedBy.set(principal, left)
    else this.#usedBy.delete(principal)
  }
}
