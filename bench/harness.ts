/**
 * Compares ways to do the same thing in one run: short rounds in turn, medians of the rounds, ratios of the medians. A
 * machine that is slow for a while is slow for all.
 */
import type { ConnectionInfo } from "@mcp-sessions/core/Connection"
import * as Effect from "effect/Effect"

/** What the server of a connection that costs nothing says of itself. */
export const info: ConnectionInfo = {
  era: "legacy",
  protocolVersion: "2025-11-25",
  implementation: undefined,
  capabilities: { tools: {} },
  instructions: undefined,
  pid: undefined
}

export const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** How long to make calls, in milliseconds, and how many of them at a time. */
export interface Spell {
  readonly millis: number
  readonly inFlight: number
}

/** Makes calls as long as it is told to; resolves with how many it made in a second. */
export type Run = (spell: Spell) => Promise<number>

const counted = async ({ millis }: Spell, all: (next: () => boolean) => Promise<unknown>): Promise<number> => {
  let calls = 0
  const start = performance.now()
  await all(() => {
    if (performance.now() - start > millis) return false
    calls++
    return true
  })
  return calls / (performance.now() - start) * 1000
}

export const ofPromise = (call: () => Promise<unknown>): Run => (spell) =>
  counted(spell, (next) => {
    const worker = async () => {
      while (next()) await call()
    }
    return Promise.all(Array.from({ length: spell.inFlight }, worker))
  })

export const ofEffect = <E>(call: Effect.Effect<unknown, E>): Run => (spell) =>
  counted(spell, (next) => {
    const worker = Effect.whileLoop({ while: next, body: () => call, step: () => {} })
    return Effect.runPromise(
      Effect.forEach(Array.from({ length: spell.inFlight }), () => worker, { concurrency: "unbounded", discard: true })
    )
  })

export interface Row {
  readonly name: string
  /** Of a call when they are made one after another. */
  readonly micros: number
  /** When many are under way. */
  readonly perSecond: number
}

/** Medians over the rounds of each contender. */
export const compare = async (options: {
  readonly contenders: ReadonlyArray<{ readonly name: string; readonly run: Run }>
  readonly rounds: number
  readonly millis: number
  readonly inFlight: number
  readonly onRound: () => void
}): Promise<ReadonlyArray<Row>> => {
  const { contenders, inFlight, millis, onRound, rounds } = options
  const rates = contenders.map(({ name, run }) => ({
    name,
    run,
    alone: [] as Array<number>,
    together: [] as Array<number>
  }))
  // What is compiled on the way is not what a warm call costs.
  for (const { run } of rates) {
    await run({ millis: millis * 3, inFlight: 1 })
    await run({ millis: millis * 8, inFlight })
  }
  for (let round = 0; round < rounds; round++) {
    // Nobody is always the first, who finds the machine at rest.
    const turns = [...rates.slice(round % rates.length), ...rates.slice(0, round % rates.length)]
    for (const { alone, run } of turns) alone.push(await run({ millis, inFlight: 1 }))
    for (const { run, together } of turns) together.push(await run({ millis, inFlight }))
    onRound()
  }
  return rates.map(({ alone, name, together }) => ({
    name,
    micros: 1_000_000 / median(alone),
    perSecond: median(together)
  }))
}
