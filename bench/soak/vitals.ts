/**
 * What this process holds over time: heap after a garbage collection, and descriptors.
 */
import { readdirSync } from "node:fs"
import { getHeapSpaceStatistics } from "node:v8"

export const count = (resource: "ProcessWrap" | "TCPSocketWrap"): number =>
  process.getActiveResourcesInfo().filter((active) => active === resource).length

/** Bytes, without compiled code, which grows for as long as the engine optimizes. */
export const heap = (): number => {
  globalThis.gc?.()
  globalThis.gc?.()
  return getHeapSpaceStatistics()
    .filter(({ space_name }) => !space_name.includes("code") && !space_name.includes("trusted"))
    .reduce((sum, { space_used_size }) => sum + space_used_size, 0)
}

export const descriptors = (): number => readdirSync("/proc/self/fd").length

export interface Sample {
  /** Milliseconds since the start of the run. */
  readonly at: number
  readonly heap: number
  readonly descriptors: number
  readonly inFlight: number
}

/** The slope of a least-squares line in ten minutes, and its standard error. */
export const slope = (samples: ReadonlyArray<Sample>, of: "heap" | "descriptors") => {
  const { length } = samples
  const sum = (each: (sample: Sample) => number) => samples.reduce((total, sample) => total + each(sample), 0)
  const meanAt = sum(({ at }) => at) / length
  const mean = sum((sample) => sample[of]) / length
  const spread = sum(({ at }) => (at - meanAt) ** 2)
  const rise = sum((sample) => (sample.at - meanAt) * (sample[of] - mean)) / spread
  const residue = sum((sample) => (sample[of] - mean - rise * (sample.at - meanAt)) ** 2)
  return { perTenMinutes: rise * 600_000, error: Math.sqrt(residue / (length - 2) / spread) * 600_000 }
}
