/**
 * The criteria of the soak, and its report as Markdown.
 */
import * as Arr from "effect/Array"
import { table } from "../../tools/markdown.ts"
import { type Call, type Circumstance, targets } from "./record.ts"
import type { Findings } from "./run.ts"
import { type Slope, slope } from "./vitals.ts"

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
  if (isAnswered(call)) return runs === 1 ? undefined : "were answered and did not run"
  const isDefinite = call.delivery === "NotSent" || call.delivery === "Rejected"
  return isDefinite && runs > 0 ? `failed as ${call.delivery} (${call.what}) and ran` : undefined
}

const millis = (value: number | undefined): string => {
  if (value === undefined) return "–"
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(value < 10 ? 1 : 0)} ms`
}
const percentile = (values: ReadonlyArray<number>, share: number): string =>
  millis(values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))])
const percent = (part: number, whole: number): string => whole === 0 ? "–" : `${(part / whole * 100).toFixed(1)} %`

/** A row for some of the calls. */
const shareOf = (title: string, calls: ReadonlyArray<Call>) => {
  const answered = calls.filter(isAnswered)
  const times = [0.5, 0.99, 1].map((share) => percentile(answered.map(({ millis }) => millis), share))
  return [title, calls.length, percent(answered.length, calls.length), ...times]
}

/** The growth in a run, and whether it is too much. */
const growthOf = (
  { options, samples }: Findings,
  of: "heap" | "descriptors"
): readonly [string, isTooMuch: boolean] => {
  const settled = samples
    .slice(Math.ceil(samples.length * warmUp))
    .filter(({ inFlight }) => inFlight <= options.rate * fewSeconds)
  const found: Slope | undefined = slope(settled, of)
  if (found === undefined) return ["too few samples", false]
  const often = Math.max(1, 600_000 / ((settled.at(-1)?.at ?? 0) - (settled[0]?.at ?? 0)))
  const unit = of === "heap" ? 1024 ** 2 : 1
  return [
    `${(found.perTenMinutes / unit).toFixed(2)} ± ${(found.error / unit).toFixed(2)}`,
    options.seconds >= judgedFrom && found.perTenMinutes - 2 * found.error > maxGrowth[of] * often
  ]
}

/** Gives the report and the violations of the criteria. */
export const report = (findings: Findings): { readonly text: string; readonly violations: ReadonlyArray<string> } => {
  const { calls, charges, closings, left, options, processes, puts, reached, record, stranded, unhandled } = findings
  const charged = calls.filter(({ kind }) => kind === "charge")
  const problems = charged.flatMap((call) => problemOf(call, charges.get(call.id) ?? 0) ?? [])
  const untyped = [
    ...calls.flatMap(({ delivery, what }) => delivery === "Untyped" ? [what] : []),
    ...record.strays,
    ...unhandled
  ]
  const outage = calls.filter(({ circumstance }) => circumstance === "outage")
  const amplification = outage.length === 0 ? 0 : reached / outage.length
  const [heap, heapGrows] = growthOf(findings, "heap")
  const [descriptors, descriptorsGrow] = growthOf(findings, "descriptors")
  const counted = (words: ReadonlyArray<string>) =>
    Object.entries(Arr.groupBy(words, (word) => word)).map(([word, { length }]) => `${length}× ${word}`)
  const unended = record.begun - record.ended
  const violations = [
    ...counted(problems.map((problem) => `calls that ${problem}`)),
    ...counted(untyped.map((what) => `untyped: ${what}`)),
    ...(unended === 0 ? [] : [`${unended} calls never ended`]),
    ...left.map((leftover) => `left over: ${leftover}`),
    ...(amplification > maxAmplification ? [`${amplification.toFixed(2)} requests for each call in the outage`] : []),
    ...(heapGrows ? ["the heap grows"] : []),
    ...(descriptorsGrow ? ["descriptors grow"] : [])
  ]
  const failures = Arr.groupBy(
    calls.filter((call) => !isAnswered(call)),
    ({ delivery, what }) => `${what} | ${delivery}`
  )
  const faults = [...record.faults.values()].toSorted((one, other) => one.name.localeCompare(other.name))
  const sum = (count: (fault: typeof faults[number]) => number) => faults.reduce((all, fault) => all + count(fault), 0)
  const text = [
    `## Soak: ${options.seconds} s at ${options.rate} calls/s, a fault every ${
      options["fault-every"]
    } s, seed ${options.seed}`,
    violations.length === 0 ? "Passed." : `**Failed**:\n${violations.map((violation) => `\n- ${violation}`).join("")}`,
    table(["", "found"], [
      [
        "duplicates: calls that must run once and ran more often",
        problems.filter((problem) => problem === "ran more than once").length
      ],
      ["disagreements of client and server about what ran", problems.length],
      ["untyped failures", untyped.length],
      ["left over after the scope closed", left.length],
      ["calls", calls.length],
      ["faults", sum(({ count }) => count)],
      [
        "calls that must run once: all, ran, outcome unknown",
        [charged.length, charges.size, charged.filter(({ delivery }) => delivery === "Unknown").length].join(", ")
      ],
      ["idempotent calls that ran more than once", [...puts.values()].filter((runs) => runs > 1).length],
      [
        `requests for each call while everything failed, at most ${maxAmplification}`,
        `${amplification.toFixed(2)} (${reached} of ${outage.length})`
      ],
      [
        "calls refused without a request while everything failed",
        percent(outage.filter(({ wasAsked }) => !wasAsked).length, outage.length)
      ],
      ["heap, growth in 10 minutes, MB", heap],
      ["descriptors, growth in 10 minutes", descriptors],
      ["processes of the stdio server", processes],
      ["connections", [...closings].toSorted().map(([outcome, count]) => `${count} ${outcome}`).join(", ")],
      ["sessions kept by servers, as a fault refused the DELETE or cut off the handshake", stranded]
    ], "right"),
    "Times of answered calls (each sample of the heap stops the process for a moment):",
    table(["", "calls", "answered", "p50", "p99", "longest"], [
      ...Object.entries(circumstances).map(([key, title]) =>
        shareOf(title, calls.filter(({ circumstance }) => circumstance === key))
      ),
      ...targets.map((target) => shareOf(target, calls.filter((call) => call.target === target)))
    ], "right"),
    table(
      ["failed as", "delivery", ...Object.values(circumstances)],
      Object.entries(failures).toSorted(([, one], [, other]) => other.length - one.length).map(([what, failed]) => [
        what,
        ...Object.keys(circumstances).map((key) => failed.filter(({ circumstance }) => circumstance === key).length)
      ])
    ),
    "From the end of a fault to the first answer of a call that began after it:",
    table(
      ["fault", "times", "recovery, median", "longest", "not yet"],
      faults.map((
        { count, name, open, recoveries }
      ) => [name, count, percentile(recoveries, 0.5), percentile(recoveries, 1), open]),
      "right"
    )
  ].join("\n\n")
  return { text, violations }
}
