/**
 * The report, as Markdown.
 */
import type { Findings } from "./run.ts"
import { type Call, type Circumstance, circumstances, targets } from "./Tally.ts"
import { maxAmplification, type Verdict } from "./verdict.ts"
import type { Slope } from "./Vitals.ts"

const percentile = (sorted: ReadonlyArray<number>, share: number): string => {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return value === undefined ? "–" : millis(value)
}

const millis = (value: number): string =>
  value < 10 ? `${value.toFixed(1)} ms` : value < 10_000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(1)} s`

const percent = (part: number, whole: number): string => whole === 0 ? "–" : `${(part / whole * 100).toFixed(1)} %`

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string =>
  [head, head.map((_, column) => column === 0 ? "---" : "---:"), ...rows].map((row) => `| ${row.join(" | ")} |`)
    .join("\n")

const counted = <K>(keys: Iterable<K>): ReadonlyArray<readonly [K, number]> => {
  const counts = new Map<K, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return [...counts].toSorted(([, one], [, other]) => other - one)
}

const grown = (slope: Slope | undefined, unit: number, name: string): string =>
  slope === undefined
    ? "too few samples"
    : `${(slope.perTenMinutes / unit).toFixed(2)} ± ${(slope.error / unit).toFixed(2)} ${name}`

/** Of each circumstance. */
const latencies = (calls: ReadonlyArray<Call>): string =>
  table(
    ["", "calls", "answered", "p50", "p99", "longest"],
    circumstances.map((circumstance: Circumstance) => {
      const those = calls.filter((call) => call.circumstance === circumstance)
      const answered = those.filter(({ ending }) => ending?.what === "answered")
      const sorted = answered.map(({ millis }) => millis).toSorted((one, other) => one - other)
      return [
        { quiet: "all well", fault: "under a fault", outage: "everything fails", after: "after that" }[circumstance],
        those.length,
        percent(answered.length, those.length),
        percentile(sorted, 0.5),
        percentile(sorted, 0.99),
        percentile(sorted, 1)
      ]
    })
  )

const failures = (calls: ReadonlyArray<Call>): string => {
  const named = (some: ReadonlyArray<Call>) =>
    new Map(counted(some.map(({ ending }) => `${ending?.what} | ${ending?.delivery}`)))
  const failed = calls.filter(({ ending }) => ending !== undefined && ending.what !== "answered")
  const by = circumstances.map((circumstance) => named(failed.filter((call) => call.circumstance === circumstance)))
  return table(
    ["failed as", "delivery", "all well", "under a fault", "everything fails", "after that"],
    [...named(failed).keys()].map((what) => [what, ...by.map((counts) => counts.get(what) ?? 0)])
  )
}

export const report = ({ findings, verdict }: {
  readonly findings: Findings
  readonly verdict: Verdict
}): string => {
  const { closings, faults, leftovers, options, phases, processes, puts, reached, samples, stranded, tally } = findings
  const calls = [...tally.calls()]
  const answered = calls.filter(({ ending }) => ending?.what === "answered").length
  const charges = calls.filter(({ kind }) => kind === "charge")
  const outage = calls.filter(({ circumstance }) => circumstance === "outage")
  const unasked = outage.filter(({ ending }) => ending?.wasAsked === false).length
  const [first, last] = [samples[0], samples.at(-1)]
  const delivered = counted(calls.map(({ ending }) => ending?.delivery ?? "under way"))
  return [
    `## Soak: ${options.seconds} s at ${options.rate} calls/s, a fault every ${options.faultEvery} s, seed ${options.seed}`,
    "",
    `${verdict.violations.length === 0 ? "Passed." : "**Failed**:"}`,
    ...verdict.violations.map((violation) => `- ${violation}`),
    "",
    table(["must not be", "found"], [
      ["duplicates: calls that must run once and ran more often", verdict.duplicates],
      ["disagreements of client and server about what ran", verdict.disagreements.length],
      ["untyped failures", verdict.untyped.length],
      ["left over after the scope closed", leftovers.length],
      [
        `requests for each call while everything failed, at most ${maxAmplification}`,
        `${verdict.amplification.toFixed(2)} (${reached} of ${outage.length})`
      ]
    ]),
    "",
    table(["", ""], [
      ["calls", calls.length],
      ["answered", `${answered} (${percent(answered, calls.length)})`],
      ["by delivery", delivered.map(([delivery, count]) => `${delivery} ${count}`).join(", ")],
      ["faults", faults.count],
      ["lists of tools given to those who watch", tally.told],
      [
        "calls that must run once: ran, failed as unknown",
        `${findings.charges.size} of ${charges.length}, ${
          charges.filter(({ ending }) => ending?.delivery === "Unknown").length
        }`
      ],
      ["idempotent calls that ran more than once", [...puts.values()].filter((runs) => runs > 1).length],
      [
        `while everything failed (${phases.outage.toFixed(0)} s): refused without a request`,
        percent(unasked, outage.length)
      ],
      ["heap, growth in 10 minutes", grown(verdict.heap, 1024 ** 2, "MB")],
      [
        "heap, first and last",
        [first, last].map((sample) => `${((sample?.heap ?? 0) / 1024 ** 2).toFixed(1)} MB`).join(", ")
      ],
      ["descriptors, growth in 10 minutes", grown(verdict.descriptors, 1, "")],
      ["descriptors, first and last", `${first?.descriptors}, ${last?.descriptors}`],
      ["child processes, first and last (5 are servers of the soak)", `${first?.children}, ${last?.children}`],
      ["timers, first and last", `${first?.timers}, ${last?.timers}`],
      ["processes of the stdio server", processes],
      [
        "connections closed",
        [...closings].toSorted().map(([how, count]) => `${how} ${count}`).join(", ")
      ],
      [
        "sessions that servers kept: end refused by a fault, handshake cut off by one",
        `${stranded.refused}, ${stranded.unfinished}`
      ]
    ]),
    "",
    "Latency of calls that were answered (every sample of the heap stops the process for a moment):",
    "",
    latencies(calls),
    "",
    failures(calls),
    "",
    "From the end of a fault to the end of the first call after it that was answered:",
    "",
    table(
      ["fault", "times", "recovery, median", "longest", "not yet"],
      [...faults.summaries()].map(([name, { count, recoveries, unrecovered }]) => {
        const sorted = recoveries.toSorted((one, other) => one - other)
        return [name, count, percentile(sorted, 0.5), percentile(sorted, 1), unrecovered]
      })
    ),
    "",
    table(
      ["target", "calls", "answered"],
      targets.map((target) => {
        const those = calls.filter((call) => call.target === target)
        return [
          target,
          those.length,
          percent(those.filter(({ ending }) => ending?.what === "answered").length, those.length)
        ]
      })
    ),
    ""
  ].join("\n")
}
