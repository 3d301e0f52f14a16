/**
 * Plays random scripts of calls and faults against servers of each kind, and watches the heap (`pnpm soak --fuzz`).
 */
import * as Effect from "effect/Effect"
import { fuzz } from "../../test/fixtures/fuzz/fuzz.ts"
import { kinds } from "../../test/fixtures/fuzz/script.ts"
import type { Options } from "./options.ts"

/** The growth of the heap, in MB, that a run of five minutes or more may show after its first fifth. */
const heapLimit = 10

const heapNow = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 2 ** 20
}

/** Plays scripts until the time is over. Gives the report, and what was violated. */
export const runFuzzing = Effect.fnUntraced(function*(
  { seconds, seed }: Options,
  progress: (line: string) => void
): Effect.fn.Return<{ readonly text: string; readonly violations: ReadonlyArray<string> }> {
  const start = performance.now()
  const violations: Array<string> = []
  const elapsed = () => (performance.now() - start) / 1000
  let scripts = 0
  let base: number | undefined
  for (let round = 0; elapsed() < seconds; round++) {
    const kind = kinds[round % kinds.length] ?? "http"
    // A process for each connection takes most of the time.
    const runs = kind === "stdio" ? 8 : 40
    const failure = yield* fuzz({ kind, runs, seed: seed + round })
    scripts += runs
    if (failure !== undefined) violations.push(failure)
    const heap = heapNow()
    if (base === undefined && elapsed() > seconds / 5) base = heap
    progress(`${Math.round(elapsed())} s: ${scripts} scripts, ${violations.length} failed, heap ${heap.toFixed(1)} MB`)
  }
  const growth = heapNow() - (base ?? 0)
  if (seconds >= 300 && growth > heapLimit) violations.push(`the heap grew by ${growth.toFixed(1)} MB`)
  const text = `| what | found |\n| --- | --- |\n| scripts | ${scripts} |\n| violations | ${violations.length} |\n`
  return { text, violations }
})
