/**
 * The criteria of the soak, and its report as Markdown.
 */
import { table } from "../../tools/markdown.ts"
import type { Findings } from "./run.ts"
import { type Call, circumstances, targets } from "./Tally.ts"
import { type Sample, type Slope, slope } from "./Vitals.ts"

/** Requests that may reach servers for each call while everything fails. */
const maxAmplification = 1.2

/**
 * Growth that is allowed in a run, or in ten minutes of a longer one: heap in bytes, descriptors by number. Judged in runs of five
 * minutes or more by the slope less two standard errors, without the samples of the first fifth and those with many calls in flight.
 */
const maxGrowth = { heap: 1024 ** 2, descriptors: 5 }
const [judgedFrom, warmUp, fewSeconds] = [300, 0.2, 0.2]

const problemOf = ({ ending, kind }: Call, runs: number): string | undefined => {
  if (kind !== "charge") return undefined
  if (runs > 1) return "ran more than once"
  if (ending === undefined) return undefined
  if (ending.what === "answered") return runs === 1 ? undefined : "were answered and did not run"
  const isDefinite = ending.delivery === "NotSent" || ending.delivery === "Rejected"
  return isDefinite && runs > 0 ? `failed as ${ending.delivery} (${ending.what}) and ran` : undefined
}

const grouped = <A>(items: Iterable<A>, keyOf: (item: A) => string | undefined): ReadonlyMap<string, Array<A>> => {
  const groups = new Map<string, Array<A>>()
  for (const item of items) {
    const key = keyOf(item)
    if (key === undefined) continue
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

const isTooSteep = (slope: Slope | undefined, bound: number): boolean =>
  slope !== undefined && slope.perTenMinutes - 2 * slope.error > bound

const millis = (value: number | undefined): string => {
  if (value === undefined) return "–"
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(value < 10 ? 1 : 0)} ms`
}
const percentile = (values: ReadonlyArray<number>, share: number): string =>
  millis(values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))])
const percent = (part: number, whole: number): string => whole === 0 ? "–" : `${(part / whole * 100).toFixed(1)} %`
const grown = (slope: Slope | undefined, unit: number, name: string): string =>
  slope === undefined
    ? "too few samples"
    : `${(slope.perTenMinutes / unit).toFixed(2)} ± ${(slope.error / unit).toFixed(2)} ${name}`

const isAnswered = ({ ending }: Call): boolean => ending?.what === "answered"

/** Gives the report and the violations of the criteria. */
export const report = (findings: Findings): { readonly text: string; readonly violations: ReadonlyArray<string> } => {
  const { charges, closings, leftovers, options, puts, reached, samples, stranded, tally, unhandled } = findings
  const calls = [...tally.calls()]
  const answered = calls.filter(isAnswered)
  const charged = calls.filter(({ kind }) => kind === "charge")
  const outage = calls.filter(({ circumstance }) => circumstance === "outage")
  const problems = grouped(charged, (call) => problemOf(call, charges.get(call.id) ?? 0))
  const untyped = [
    ...calls.flatMap(({ ending }) => ending?.delivery === "Untyped" ? [ending.what] : []),
    ...tally.strays,
    ...unhandled
  ]
  const unended = calls.filter(({ ending }) => ending === undefined).length
  const amplification = outage.length === 0 ? 0 : reached / outage.length
  const settled = samples
    .slice(Math.ceil(samples.length * warmUp))
    .filter(({ inFlight }) => inFlight <= options.rate * fewSeconds)
  const [heap, descriptors] = [slope(settled, "heap"), slope(settled, "descriptors")]
  const often = Math.max(1, 600_000 / ((settled.at(-1)?.at ?? 0) - (settled[0]?.at ?? 0)))
  const isJudged = options.seconds >= judgedFrom
  const violations = [
    ...[...problems].map(([problem, { 0: first, length }]) => `${length} calls ${problem}, for example ${first?.id}`),
    ...[...grouped(untyped, (what) => what)].map(([what, { length }]) => `untyped: ${length}×: ${what}`),
    ...(unended === 0 ? [] : [`${unended} calls never ended`]),
    ...leftovers.map((leftover) => `left over: ${leftover}`),
    ...(amplification > maxAmplification ? [`${amplification.toFixed(2)} requests for each call in the outage`] : []),
    ...(isJudged && isTooSteep(heap, maxGrowth.heap * often) ? ["the heap grows"] : []),
    ...(isJudged && isTooSteep(descriptors, maxGrowth.descriptors * often) ? ["descriptors grow"] : [])
  ]

  const ends = ({ of }: { readonly of: (sample: Sample) => string | number }) =>
    [samples[0], samples.at(-1)].map((sample) => sample === undefined ? "–" : of(sample)).join(", ")
  const deliveries = [...grouped(calls, ({ ending }) => ending?.delivery ?? "in flight")]
  const failed = grouped(
    calls.filter((call) => call.ending !== undefined && !isAnswered(call)),
    ({ ending }) => `${ending?.what} | ${ending?.delivery}`
  )
  const titles = { quiet: "no fault", fault: "under a fault", outage: "everything fails", after: "after that" }
  const text = [
    `## Soak: ${options.seconds} s at ${options.rate} calls/s, a fault every ${options.faultEvery} s, seed ${options.seed}`,
    [violations.length === 0 ? "Passed." : "**Failed**:", ...violations.map((violation) => `- ${violation}`)].join(
      "\n"
    ),
    table(["criterion", "found"], [
      ["duplicates: calls that must run once and ran more often", problems.get("ran more than once")?.length ?? 0],
      ["disagreements of client and server about what ran", problems.size],
      ["untyped failures", untyped.length],
      ["left over after the scope closed", leftovers.length],
      [
        `requests for each call while everything failed, at most ${maxAmplification}`,
        `${amplification.toFixed(2)} (${reached} of ${outage.length})`
      ]
    ], "right"),
    table(["", ""], [
      ["calls", calls.length],
      ["answered", `${answered.length} (${percent(answered.length, calls.length)})`],
      ["by delivery", deliveries.map(([delivery, { length }]) => `${delivery} ${length}`).join(", ")],
      ["faults", tally.faults],
      ["lists that watchers received", tally.lists],
      [
        "calls that must run once: ran, failed as unknown",
        `${charges.size} of ${charged.length}, ${charged.filter(({ ending }) => ending?.delivery === "Unknown").length}`
      ],
      ["idempotent calls that ran more than once", [...puts.values()].filter((runs) => runs > 1).length],
      [
        "calls refused without a request while everything failed",
        percent(outage.filter(({ ending }) => ending?.wasAsked === false).length, outage.length)
      ],
      ["heap, growth in 10 minutes", grown(heap, 1024 ** 2, "MB")],
      ["heap, first and last", ends({ of: ({ heap }) => `${(heap / 1024 ** 2).toFixed(1)} MB` })],
      ["descriptors, growth in 10 minutes", grown(descriptors, 1, "")],
      ["descriptors, first and last", ends({ of: ({ descriptors }) => descriptors })],
      ["child processes, first and last (5 are servers of the soak)", ends({ of: ({ children }) => children })],
      ["timers, first and last", ends({ of: ({ timers }) => timers })],
      ["processes of the stdio server", findings.processes],
      ["connections closed", [...closings].toSorted().map(([how, count]) => `${how} ${count}`).join(", ")],
      [
        "sessions kept by servers: DELETE refused by a fault, handshake cut off by a fault",
        `${stranded.refused}, ${stranded.unfinished}`
      ]
    ], "right"),
    "Latency of answered calls (each sample of the heap stops the process for a moment):",
    table(
      ["", "calls", "answered", "p50", "p99", "longest"],
      circumstances.map((circumstance) => {
        const all = calls.filter((call) => call.circumstance === circumstance)
        const took = all.filter(isAnswered).map(({ millis }) => millis)
        const times = [0.5, 0.99, 1].map((share) => percentile(took, share))
        return [titles[circumstance], all.length, percent(took.length, all.length), ...times]
      }),
      "right"
    ),
    table(
      ["failed as", "delivery", ...Object.values(titles)],
      [...failed].toSorted(([, one], [, other]) => other.length - one.length).map(([what, all]) => [
        what,
        ...circumstances.map((circumstance) => all.filter((call) => call.circumstance === circumstance).length)
      ])
    ),
    "From the end of a fault to the first answer of a call that began after it:",
    table(
      ["fault", "times", "recovery, median", "longest", "not yet"],
      [...tally.recoveries()].map((
        { count, millis, name, open }
      ) => [name, count, percentile(millis, 0.5), percentile(millis, 1), open]),
      "right"
    ),
    table(
      ["target", "calls", "answered"],
      targets.map((target) => {
        const all = calls.filter((call) => call.target === target)
        return [target, all.length, percent(all.filter(isAnswered).length, all.length)]
      }),
      "right"
    )
  ].join("\n\n")
  return { text: `${text}\n`, violations }
}
