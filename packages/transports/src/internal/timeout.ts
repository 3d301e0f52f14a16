/**
 * Waits for an event with a time limit.
 */
import { setTimeout } from "node:timers/promises"

/** Waits for an event, at most `millis`, and leaves no timer behind. */
export const firstOf = async (options: {
  readonly event: Promise<unknown>
  readonly millis: number
}): Promise<void> => {
  const stop = new AbortController()
  await Promise.race([options.event, setTimeout(options.millis, undefined, { signal: stop.signal }).catch(() => {})])
  stop.abort()
}
