/**
 * Plays random scripts of calls and faults against servers of each kind, and watches the heap (`pnpm soak --fuzz`).
 */
import * as Effect from "effect/Effect"
import { fuzz } from "../../test/fixtures/fuzz/fuzz.ts"
import { kinds } from "../../test/fixtures/fuzz/script.ts"
import { table } from "../../tools/markdown.ts"
import type { Options } from "./options.ts"
import { heap } from "./vitals.ts"

/** The growth of the heap, in MB, that a run of five minutes or more may show after its first fifth. */
const heapLimit = 10

/** Plays scripts until the time is over. Gives the report, and what was violated. */
export const runFuzzing = Effect.fnUntraced(function*({ seconds, seed }: Options, progress: (line: string) => void) {
  const start = performance.now()
  const elapsed = () => (performance.now() - start) / 1000
  const violations: Array<string> = []
  let scripts = 0
  let base: number | undefined
  let growth = 0
  for (let round = 0; elapsed() < seconds; round++) {
    const kind = kinds[round % kinds.length] ?? "http"
    // A process for each connection takes most of the time.
    const runs = kind === "stdio" ? 8 : 40
    const failure = yield* fuzz({ kind, runs, seed: seed + round })
    scripts += runs
    if (failure !== undefined) violations.push(failure)
    const megabytes = heap() / 1024 ** 2
    if (elapsed() > seconds / 5) growth = megabytes - (base ??= megabytes)
    progress(
      `${elapsed().toFixed()} s: ${scripts} scripts, ${violations.length} failed, heap ${megabytes.toFixed(1)} MB`
    )
  }
  if (seconds >= 300 && growth > heapLimit) violations.push(`the heap grew by ${growth.toFixed(1)} MB`)
  return { text: table(["scripts", "violations"], [[scripts, violations.length]]), violations }
})
