/**
 * What the process holds, over time: heap after a collection, descriptors, child processes, timers.
 */
import { readdirSync } from "node:fs"
import { getHeapSpaceStatistics } from "node:v8"

export interface Sample {
  /** Milliseconds since the beginning of the run. */
  readonly at: number
  /** Bytes. Without what the engine has compiled, which becomes more for as long as it finds something to make faster. */
  readonly heap: number
  readonly descriptors: number
  readonly children: number
  readonly timers: number
  /** Calls that had not ended. */
  readonly underWay: number
}

const count = (resource: string): number =>
  process.getActiveResourcesInfo().filter((active) => active === resource).length

/** The child processes of this process that have not ended. */
export const children = (): number => count("ProcessWrap")

const isOfCode = (space: string): boolean => space.includes("code") || space.includes("trusted")

const heap = (): number =>
  getHeapSpaceStatistics()
    .filter(({ space_name }) => !isOfCode(space_name))
    .reduce((sum, { space_used_size }) => sum + space_used_size, 0)

export const take = ({ since, underWay }: { readonly since: number; readonly underWay: number }): Sample => {
  globalThis.gc?.()
  globalThis.gc?.()
  return {
    at: performance.now() - since,
    heap: heap(),
    descriptors: readdirSync("/proc/self/fd").length,
    children: children(),
    timers: count("Timeout"),
    underWay
  }
}

/** The sockets of this process that are open. */
export const sockets = (): number => count("TCPSocketWrap")

/** How fast something grows, and how sure that is. */
export interface Slope {
  readonly perTenMinutes: number
  /** The standard error of the slope: what comes and goes with the load makes it large. */
  readonly error: number
}

const tenMinutes = 600_000

/** Least squares over samples. Fewer than three say nothing. */
export const slope = (options: {
  readonly samples: ReadonlyArray<Sample>
  readonly of: "heap" | "descriptors" | "children" | "timers"
}): Slope | undefined => {
  const { of, samples } = options
  const length = samples.length
  if (length < 3) return undefined
  const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / length
  const meanAt = mean(samples.map(({ at }) => at))
  const meanValue = mean(samples.map((sample) => sample[of]))
  const spread = samples.reduce((sum, { at }) => sum + (at - meanAt) ** 2, 0)
  const rise = samples.reduce((sum, sample) => sum + (sample.at - meanAt) * (sample[of] - meanValue), 0) / spread
  const residue = samples.reduce(
    (sum, sample) => sum + (sample[of] - meanValue - rise * (sample.at - meanAt)) ** 2,
    0
  )
  const error = Math.sqrt(residue / (length - 2) / spread)
  return { perTenMinutes: rise * tenMinutes, error: error * tenMinutes }
}
