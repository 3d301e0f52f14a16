/**
 * What must not be.
 */
import type { Findings } from "./run.ts"
import type { Call } from "./Tally.ts"
import * as Vitals from "./Vitals.ts"

/** Requests that reach servers for each call, while everything fails. */
export const maxAmplification = 1.2

/**
 * What may be had more at the end of the samples, and in long runs after ten minutes: heap in bytes, descriptors by number. Slopes are
 * judged by their lower bound, two standard errors below, and by the samples at which few calls were under way, for those come and
 * go with each fault; and in runs of five minutes or more, for before that a warming engine looks like a leak.
 */
const maxGrowth = { heap: 1024 ** 2, descriptors: 5 }
const judgedFrom = 300

/** The share of the samples that belongs to the warm-up. */
const warmUp = 0.2

/** As many calls as come in within so many seconds are few. */
const fewSeconds = 0.2

/** A way in which the servers' account and the client's do not agree. */
interface Disagreement {
  readonly problem: string
  readonly count: number
  readonly example: number
}

const problemOf = ({ ending, kind }: Call, runs: number): string | undefined => {
  if (kind !== "charge") return undefined
  if (runs > 1) return "ran more than once"
  if (ending === undefined) return undefined
  if (ending.what === "answered") return runs === 1 ? undefined : "were answered and did not run"
  const isDefinite = ending.delivery === "NotSent" || ending.delivery === "Rejected"
  return isDefinite && runs > 0 ? `failed as ${ending.delivery} (${ending.what}) and ran` : undefined
}

export interface Verdict {
  readonly duplicates: number
  readonly disagreements: ReadonlyArray<Disagreement>
  readonly untyped: ReadonlyArray<string>
  readonly amplification: number
  readonly heap: Vitals.Slope | undefined
  readonly descriptors: Vitals.Slope | undefined
  /** All that must not be. */
  readonly violations: ReadonlyArray<string>
}

/** How many times in ten minutes what is allowed may be had, by the time between the first sample and the last. */
const oftenIn = (samples: ReadonlyArray<Vitals.Sample>): number =>
  Math.max(1, 600_000 / ((samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0)))

const isTooSteep = (slope: Vitals.Slope | undefined, bound: number): boolean =>
  slope !== undefined && slope.perTenMinutes - 2 * slope.error > bound

export const judge = (findings: Findings): Verdict => {
  const { charges, leftovers, options, reached, samples, tally, unhandled } = findings
  const found = new Map<string, { count: number; example: number }>()
  const untyped = new Map<string, number>()
  let outage = 0
  let unended = 0
  for (const call of tally.calls()) {
    const { circumstance, ending, id } = call
    if (circumstance === "outage") outage++
    if (ending === undefined) unended++
    else if (ending.delivery === "Untyped") untyped.set(ending.what, (untyped.get(ending.what) ?? 0) + 1)
    const problem = problemOf(call, charges.get(id) ?? 0)
    if (problem === undefined) continue
    const before = found.get(problem)
    found.set(problem, { count: (before?.count ?? 0) + 1, example: before?.example ?? id })
  }
  const disagreements = [...found].map(([problem, { count, example }]) => ({ problem, count, example }))
  const duplicates = found.get("ran more than once")?.count ?? 0
  const amplification = outage === 0 ? 0 : reached / outage
  const settled = samples
    .slice(Math.ceil(samples.length * warmUp))
    .filter(({ underWay }) => underWay <= options.rate * fewSeconds)
  const heap = Vitals.slope({ samples: settled, of: "heap" })
  const descriptors = Vitals.slope({ samples: settled, of: "descriptors" })
  const untypedLines = [...[...untyped].map(([what, count]) => `${count}×: ${what}`), ...tally.strays, ...unhandled]
  const isJudged = options.seconds >= judgedFrom
  const often = oftenIn(settled)
  return {
    duplicates,
    disagreements,
    untyped: untypedLines,
    amplification,
    heap,
    descriptors,
    violations: [
      ...disagreements.map(({ count, example, problem }) => `${count} calls ${problem}, call ${example} for one`),
      ...untypedLines.map((line) => `untyped: ${line}`),
      ...(unended === 0 ? [] : [`${unended} calls never ended`]),
      ...leftovers.map((leftover) => `left over: ${leftover}`),
      ...(amplification > maxAmplification
        ? [`${amplification.toFixed(2)} requests for each call while everything failed, at most ${maxAmplification}`]
        : []),
      ...(isJudged && isTooSteep(heap, maxGrowth.heap * often) ? ["the heap grows"] : []),
      ...(isJudged && isTooSteep(descriptors, maxGrowth.descriptors * often) ? ["descriptors grow"] : [])
    ]
  }
}
