/**
 * Backlog: the messages for one client that wait until it opens a stream. The oldest are dropped first.
 */
import type { Keeper, KeptMessages } from "./keptMessages.ts"

/** How many messages wait, and how many characters of them. */
const [messageLimit, sizeLimit] = [64, 4 * 1024 ** 2]

export class Backlog implements Keeper {
  readonly #kept: KeptMessages
  readonly #messages: Array<string> = []
  #size = 0

  constructor(kept: KeptMessages) {
    this.#kept = kept
  }

  /** How many characters wait. */
  get size(): number {
    return this.#size
  }

  /** Adds a message. One that is longer than the whole backlog may be is dropped. */
  add(message: string): void {
    this.#messages.push(message)
    this.#size += message.length
    this.#kept.add(this, message.length)
    while (this.#messages.length > messageLimit || this.#size > sizeLimit) this.#drop()
  }

  /** Hands the messages over, the oldest first, until one is not taken. */
  flush(take: (message: string) => boolean): void {
    for (let [message] = this.#messages; message !== undefined && take(message); [message] = this.#messages) {
      this.#drop()
    }
  }

  /** Drops all messages. */
  forget(): void {
    while (this.#messages.length > 0) this.#drop()
  }

  #drop(): void {
    const size = this.#messages.shift()?.length ?? 0
    this.#size -= size
    this.#kept.remove(this, size)
  }
}
