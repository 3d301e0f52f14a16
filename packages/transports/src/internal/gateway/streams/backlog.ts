/**
 * Backlog: the messages for one client that wait until it opens a stream. The oldest are dropped first.
 */
import type { Keeper, SessionMessages } from "./keptMessages.ts"
import { lose, type Outgoing, textOf } from "./outgoing.ts"

/** How many messages wait, and how many characters of them. */
const [messageLimit, sizeLimit] = [64, 4 * 1024 ** 2]

export class Backlog implements Keeper {
  readonly #kept: SessionMessages
  readonly #messages: Array<Outgoing> = []
  #size = 0
  #hasGap = false

  constructor(kept: SessionMessages) {
    this.#kept = kept
  }

  /** How many characters wait. */
  get size(): number {
    return this.#size
  }

  /** Adds a message. One that is longer than the whole backlog may be is dropped, and no other. */
  add(message: Outgoing): void {
    const { length } = textOf(message)
    if (length > sizeLimit) {
      this.#hasGap = true
      return lose(message)
    }
    this.#messages.push(message)
    this.#size += length
    this.#kept.add(this, length)
    while (this.#messages.length > messageLimit || this.#size > sizeLimit) this.#drop()
  }

  /** Hands the messages over, the oldest first, until one is not taken. Returns whether others were dropped since the last time. */
  flush(take: (message: Outgoing) => boolean): boolean {
    const hadGap = this.#hasGap
    this.#hasGap = false
    for (let [message] = this.#messages; message !== undefined && take(message); [message] = this.#messages) {
      this.#remove()
    }
    return hadGap
  }

  /** Drops all messages. */
  forget(): void {
    while (this.#messages.length > 0) this.#drop()
  }

  #drop(): void {
    this.#hasGap = true
    const dropped = this.#remove()
    if (dropped !== undefined) lose(dropped)
  }

  #remove(): Outgoing | undefined {
    const removed = this.#messages.shift()
    const { length } = removed === undefined ? "" : textOf(removed)
    this.#size -= length
    this.#kept.remove(this, length)
    return removed
  }
}
