/**
 * Unread responses: those of an HTTP server that have ended, and that their clients have not read yet. Node keeps their bodies in memory, and a client
 * that never reads has no request in flight any more.
 *
 * While they have more bytes together than the limit, the oldest are cut off: they had the most time.
 */
import type { ServerResponse } from "node:http"
import { onClosed } from "./http.ts"

/** How many bytes of ended responses a server keeps. */
const unreadLimit = 256 * 1024 ** 2

/** The buffers of a socket take a smaller response at once. */
const smallSize = 64 * 1024

export class UnreadResponses {
  readonly #limit: number
  readonly #sizes = new Map<ServerResponse, number>()
  #total = 0

  /** `limit` is in bytes. */
  constructor(limit: number = unreadLimit) {
    this.#limit = limit
  }

  /** Counts what is unread of a response from its end on, until it has closed. */
  watch(response: ServerResponse): void {
    // Node emits it when the whole response was handed to the socket, and "finish" only once that has written all.
    response.once("prefinish", () => this.#take(response))
  }

  #take(response: ServerResponse): void {
    const size = response.writableLength
    if (size <= smallSize || response.destroyed) return
    this.#sizes.set(response, size)
    this.#total += size
    onClosed(response, () => this.#forget(response))
    for (const oldest of this.#sizes.keys()) {
      if (this.#total <= this.#limit) return
      this.#forget(oldest)
      oldest.destroy()
    }
  }

  #forget(response: ServerResponse): void {
    this.#total -= this.#sizes.get(response) ?? 0
    this.#sizes.delete(response)
  }
}
