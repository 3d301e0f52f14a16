/**
 * Messages that wait because the peer does not read, in order, up to a limit.
 *
 * Nothing of a message that waits here was written: its request can be given up without a trace, and ends as `NotSent`. The limit applies to
 * what waits together: one message alone may be as large as it is.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { QueueFull } from "@mcp-sessions/core/SessionError"

/** How many characters may wait: at most 16 MB of memory, since a character takes two bytes at most. */
export const outboxLimit = 8 * 1024 ** 2

interface Entry {
  readonly text: string
  readonly request: OutgoingRequest | undefined
  readonly isReply: boolean
}

export class Outbox {
  /** By request, or by themselves. */
  readonly #entries = new Map<OutgoingRequest | Entry, Entry>()
  #characters = 0
  #replies = 0

  get isEmpty(): boolean {
    return this.#entries.size === 0
  }

  /** How many characters wait. */
  get characters(): number {
    return this.#characters
  }

  /** How many replies wait. */
  get replies(): number {
    return this.#replies
  }

  /** Adds a message. Returns why it must not be sent, if too much waits already. */
  add(entry: Entry): QueueFull | undefined {
    const { length } = entry.text
    if (!this.isEmpty && this.#characters + length > outboxLimit) {
      return new QueueFull({ limit: outboxLimit, inFlight: this.#entries.size, unread: this.#characters })
    }
    this.#entries.set(entry.request ?? entry, entry)
    this.#characters += length
    if (entry.isReply) this.#replies++
    return undefined
  }

  /** Removes a request. `false`: it does not wait. */
  delete(request: OutgoingRequest): boolean {
    const entry = this.#entries.get(request)
    if (entry !== undefined) this.#remove(request, entry)
    return entry !== undefined
  }

  /** Writes what waits, until the peer does not read. `write` marks the request as written. */
  drain(options: {
    readonly isBlocked: () => boolean
    readonly write: (text: string, request: OutgoingRequest | undefined) => void
  }): void {
    for (const [key, entry] of this.#entries) {
      if (options.isBlocked()) return
      this.#remove(key, entry)
      options.write(entry.text, entry.request)
    }
  }

  clear(): void {
    this.#entries.clear()
    this.#characters = this.#replies = 0
  }

  #remove(key: OutgoingRequest | Entry, { isReply, text }: Entry): void {
    this.#entries.delete(key)
    this.#characters -= text.length
    if (isReply) this.#replies--
  }
}
