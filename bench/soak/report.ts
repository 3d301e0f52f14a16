/**
 * The criteria of the soak, and its report as Markdown.
 */
import * as Arr from "effect/Array"
import { table } from "../../tools/markdown.ts"
import { type Call, type Circumstance, targets } from "./record.ts"
import type { Findings } from "./run.ts"
import { slope } from "./vitals.ts"

/** Requests that may reach servers for each call while everything fails. */
const maxAmplification = 1.2

/**
 * Growth that is allowed in a run, or in ten minutes of a longer one: heap in bytes, descriptors by number. Judged in runs of five
 * minutes or more by the slope less two standard errors, without the samples of the first fifth and those with many calls in flight.
 */
const maxGrowth = { heap: 1024 ** 2, descriptors: 5 }
const [judgedFrom, warmUp, fewSeconds] = [300, 0.2, 0.2]

const circumstances: Readonly<Record<Circumstance, string>> = {
  quiet: "no fault",
  fault: "under a fault",
  outage: "everything fails",
  after: "after that"
}

const isAnswered = ({ delivery }: Call): boolean => delivery === "Answered"

const problemOf = (call: Call, runs: number): string | undefined => {
  if (runs > 1) return "ran more than once"
  if (isAnswered(call)) return runs === 1 ? undefined : "was answered and did not run"
  const isDefinite = call.delivery === "NotSent" || call.delivery === "Rejected"
  return isDefinite && runs > 0 ? `failed as ${call.delivery} (${call.what}) and ran` : undefined
}

const percentile = (values: ReadonlyArray<number>, share: number): string => {
  const value = values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]
  return value === undefined ? "–" : value < 1000 ? `${value.toFixed()} ms` : `${(value / 1000).toFixed(1)} s`
}
const percent = (part: number, whole: number): string => whole === 0 ? "–" : `${(part / whole * 100).toFixed(1)} %`

/** A row for some of the calls. */
const timesOf = (title: string, calls: ReadonlyArray<Call>) => {
  const times = calls.filter(isAnswered).map(({ millis }) => millis)
  return [
    title,
    calls.length,
    percent(times.length, calls.length),
    ...[0.5, 0.99, 1].map((at) => percentile(times, at))
  ]
}

/** The growth in ten minutes with its standard error, and whether it is too much. */
const growthOf = ({ options, samples }: Findings, of: "heap" | "descriptors") => {
  const settled = samples
    .slice(Math.ceil(samples.length * warmUp))
    .filter(({ inFlight }) => inFlight <= options.rate * fewSeconds)
  if (settled.length < 3) return { text: "too few samples", isTooMuch: false }
  const { error, perTenMinutes } = slope(settled, of)
  const unit = of === "heap" ? 1024 ** 2 : 1
  const often = Math.max(1, 600_000 / ((settled.at(-1)?.at ?? 0) - (settled[0]?.at ?? 0)))
  return {
    text: `${(perTenMinutes / unit).toFixed(2)} ± ${(error / unit).toFixed(2)}`,
    isTooMuch: options.seconds >= judgedFrom && perTenMinutes - 2 * error > maxGrowth[of] * often
  }
}

/** Gives the report and the violations of the criteria. */
export const report = (findings: Findings): { readonly text: string; readonly violations: ReadonlyArray<string> } => {
  const { calls, charges, left, options, puts, reached, record } = findings
  const charged = calls.filter(({ kind }) => kind === "charge")
  const problems = charged.flatMap((call) => problemOf(call, charges.get(call.id) ?? 0) ?? [])
  const undeclared = calls.flatMap(({ delivery, what }) => delivery === "Untyped" ? [what] : [])
  const untyped = [...undeclared, ...record.strays]
  const outage = calls.filter(({ circumstance }) => circumstance === "outage")
  const amplification = outage.length === 0 ? 0 : reached / outage.length
  const [heap, descriptors] = [growthOf(findings, "heap"), growthOf(findings, "descriptors")]
  const violations = [
    ...problems.map((problem) => `a call ${problem}`),
    ...untyped.map((what) => `untyped: ${what}`),
    ...(record.begun === record.ended ? [] : [`${record.begun - record.ended} calls never ended`]),
    ...left.map((leftover) => `left over: ${leftover}`),
    ...(amplification > maxAmplification ? [`${amplification.toFixed(2)} requests for each call in the outage`] : []),
    ...(heap.isTooMuch ? ["the heap grows"] : []),
    ...(descriptors.isTooMuch ? ["descriptors grow"] : [])
  ]
  const faults = [...record.faults.values()].toSorted((one, other) => one.name.localeCompare(other.name))
  const found = {
    "duplicates: calls that must run once and ran more often": [...charges.values()].filter((runs) => runs > 1).length,
    "disagreements of client and server about what ran": problems.length,
    "untyped failures": untyped.length,
    "left over after the scope closed": left.length,
    "calls": calls.length,
    "faults": faults.reduce((sum, { count }) => sum + count, 0),
    "calls that must run once": charged.length,
    "… that ran": charges.size,
    "… whose outcome is unknown": charged.filter(({ delivery }) => delivery === "Unknown").length,
    "idempotent calls that ran more than once": [...puts.values()].filter((runs) => runs > 1).length,
    "requests for each call while everything failed": amplification.toFixed(2),
    "heap, growth in 10 minutes, MB": heap.text,
    "descriptors, growth in 10 minutes": descriptors.text
  }
  const times = [
    ...Object.entries(circumstances).map(([circumstance, title]) =>
      timesOf(title, calls.filter((call) => call.circumstance === circumstance))
    ),
    ...targets.map((target) => timesOf(target, calls.filter((call) => call.target === target)))
  ]
  const failures = Arr.groupBy(
    calls.filter((call) => !isAnswered(call)),
    ({ delivery, what }) => `${what} | ${delivery}`
  )
  const failed = Object.entries(failures).map(([failure, calls]) => {
    const count = (circumstance: string) => calls.filter((call) => call.circumstance === circumstance).length
    return [failure, ...Object.keys(circumstances).map(count)]
  })
  const recoveries = faults.map(({ count, name, open, recoveries }) => [
    name,
    count,
    percentile(recoveries, 0.5),
    percentile(recoveries, 1),
    open
  ])
  const { faultEvery, rate, seconds, seed } = options
  const text = [
    `## Soak: ${seconds} s at ${rate} calls/s, a fault every ${faultEvery} s, seed ${seed}`,
    violations.length === 0 ? "Passed." : `**Failed**: ${violations.join("; ")}.`,
    table(["", "found"], Object.entries(found), "right"),
    "Times of answered calls (each sample of the heap stops the process for a moment):",
    table(["", "calls", "answered", "p50", "p99", "longest"], times, "right"),
    table(["failed as", "delivery", ...Object.values(circumstances)], failed),
    "From the end of a fault to the first answer of a call that began after it:",
    table(["fault", "times", "recovery, median", "longest", "not yet"], recoveries, "right")
  ]
  return { text: `${text.join("\n\n")}\n`, violations }
}
