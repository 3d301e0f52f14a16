/**
 * Waiting for an event, but not for ever.
 */
import { setTimeout } from "node:timers/promises"

/** Waits for an event, but not longer than that, and leaves no timer behind. */
export const firstOf = async (options: {
  readonly event: Promise<unknown>
  readonly millis: number
}): Promise<void> => {
  const stop = new AbortController()
  await Promise.race([options.event, setTimeout(options.millis, undefined, { signal: stop.signal }).catch(() => {})])
  stop.abort()
}
