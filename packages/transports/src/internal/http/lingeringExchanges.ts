/**
 * Aborts exchanges that stay open after the response. Most servers end the stream with the response; those that do not would keep a
 * socket for each call.
 */
import { clearTimeout, setTimeout } from "node:timers"

/** How long a stream may stay open after the response, in milliseconds. */
const lingerLimit = 1000

/** How many streams may stay open after their responses. One more ends the oldest. */
const openLimit = 32

export class LingeringExchanges {
  #open: Set<{ readonly abort: () => void }> | undefined
  #timer: NodeJS.Timeout | undefined

  add(exchange: { readonly abort: () => void }): void {
    const open = this.#open ??= new Set()
    open.add(exchange)
    if (open.size > openLimit) {
      for (const oldest of open) {
        open.delete(oldest)
        oldest.abort()
        break
      }
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#abortAll()
    }, lingerLimit)
  }

  delete(exchange: { readonly abort: () => void }): void {
    this.#open?.delete(exchange)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#abortAll()
  }

  #abortAll(): void {
    const open = this.#open
    this.#open = undefined
    if (open !== undefined) { for (const exchange of open) exchange.abort() }
  }
}
