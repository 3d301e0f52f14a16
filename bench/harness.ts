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

/** One way to make a call, and how to make many of them one after another or some at a time. */
export interface Contender {
  readonly name: string
  readonly sequential: (calls: number) => Promise<void>
  readonly concurrent: (calls: number, inFlight: number) => Promise<void>
}

export const ofPromise = (name: string, call: () => Promise<unknown>): Contender => ({
  name,
  sequential: async (calls) => {
    for (let i = 0; i < calls; i++) await call()
  },
  concurrent: async (calls, inFlight) => {
    let left = calls
    const worker = async () => {
      while (left-- > 0) await call()
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
  }
})

export const ofEffect = <E>(name: string, call: Effect.Effect<unknown, E>): Contender => ({
  name,
  sequential: (calls) =>
    Effect.runPromise(Effect.gen(function*() {
      for (let i = 0; i < calls; i++) yield* call
    })),
  concurrent: (calls, inFlight) =>
    Effect.runPromise(Effect.suspend(() => {
      let left = calls
      const worker = Effect.whileLoop({ while: () => left-- > 0, body: () => call, step: () => {} })
      return Effect.forEach(Array.from({ length: inFlight }), () => worker, {
        concurrency: "unbounded",
        discard: true
      })
    }))
})

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const timed = async (run: () => Promise<void>): Promise<number> => {
  const start = performance.now()
  await run()
  return performance.now() - start
}

export interface Row {
  readonly name: string
  readonly microsPerCall: number
  readonly callsPerSecond: number
}

/** Medians over the rounds of each contender. */
export const compare = async (options: {
  readonly contenders: ReadonlyArray<Contender>
  readonly rounds: number
  readonly calls: number
  readonly inFlight: number
}): Promise<ReadonlyArray<Row>> => {
  const { calls, contenders, inFlight, rounds } = options
  const times = contenders.map((contender) => ({
    contender,
    sequential: [] as Array<number>,
    concurrent: [] as Array<number>
  }))
  for (const { contender } of times) await contender.sequential(calls / 2)
  for (let round = 0; round < rounds; round++) {
    for (const { contender, sequential } of times) sequential.push(await timed(() => contender.sequential(calls)))
    for (const { concurrent, contender } of times) {
      concurrent.push(await timed(() => contender.concurrent(calls * 2, inFlight)))
    }
  }
  return times.map(({ concurrent, contender, sequential }) => ({
    name: contender.name,
    microsPerCall: median(sequential) / calls * 1000,
    callsPerSecond: calls * 2 / median(concurrent) * 1000
  }))
}

/** Prints rows as Markdown, with ratios to the raw client and to the SDK. */
export const table = (title: string, rows: ReadonlyArray<Row>): string => {
  const find = (name: string) => rows.find((row) => row.name === name)
  const raw = find("raw")
  const sdk = find("sdk")
  const ratio = (value: number, base: number | undefined) => base === undefined ? "" : `${(value / base).toFixed(2)}×`
  return [
    `### ${title}`,
    "",
    "| client | µs per call | to raw | calls/s, 64 in flight | to SDK |",
    "| --- | ---: | ---: | ---: | ---: |",
    ...rows.map(({ callsPerSecond, microsPerCall, name }) =>
      `| ${name} | ${microsPerCall.toFixed(1)} | ${ratio(microsPerCall, raw?.microsPerCall)} | ${
        Math.round(callsPerSecond)
      } | ${ratio(callsPerSecond, sdk?.callsPerSecond)} |`
    ),
    ""
  ].join("\n")
}
