/**
 * Waits for an event with a time limit.
 */
import { setImmediate, setTimeout } from "node:timers/promises"

/** How many turns of the event loop an event may take from the system to here: data, the end of a stream, and its close. */
const turns = 3

/**
 * Waits for an event, at most `millis`, and leaves no timer behind. When this process was held up, its timers run before the events that have
 * arrived meanwhile: these still count.
 */
export const firstOf = async (options: {
  readonly event: Promise<unknown>
  readonly millis: number
}): Promise<void> => {
  const { event, millis } = options
  const stop = new AbortController()
  const happened = event.then(() => true)
  await Promise.race([happened, setTimeout(millis, undefined, { signal: stop.signal }).catch(() => {})])
  stop.abort()
  for (let turn = 0; turn < turns; turn++) if (await Promise.race([happened, setImmediate(false)])) return
}
