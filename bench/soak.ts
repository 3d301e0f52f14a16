/**
 * Calls real servers at a steady rate while they fail, and reports duplicates, leaks and undeclared failures (`pnpm soak`,
 * docs/soak.md).
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { randomInt } from "node:crypto"
import { type Options, read, usage } from "./soak/options.ts"

const progress = (line: string) => void process.stderr.write(`${line}\n`)

const soak = async (options: Options): Promise<number> => {
  // Loaded once the options are right.
  const { report } = await import("./soak/report.ts")
  const { run } = await import("./soak/run.ts")
  const { runFuzzing } = await import("./soak/fuzzing.ts")
  const { faultEvery, isFuzzing, rate, seconds, seed } = options
  if (globalThis.gc === undefined) progress("without --expose-gc the figures of the heap say little")
  progress(
    isFuzzing
      ? `seed ${seed}, ${seconds} seconds of scripts`
      : `seed ${seed}, ${seconds} seconds, ${rate} calls/s, a fault every ${faultEvery} s`
  )
  const running = Effect.runFork(
    isFuzzing ? runFuzzing(options, progress) : Effect.map(run(options, progress), report)
  )
  // Interruption resumes servers that are stopped at that moment.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => running.interruptUnsafe())
  const ended = await Effect.runPromise(Fiber.await(running))
  if (Exit.hasInterrupts(ended)) {
    progress("interrupted")
    return 130
  }
  const { text, violations } = await Effect.runPromise(ended)
  process.stdout.write(text)
  for (const violation of violations) progress(`VIOLATED: ${violation}`)
  return violations.length === 0 ? 0 : 1
}

const readOptions = (): Options | undefined => {
  try {
    return read(process.argv.slice(2), randomInt(1_000_000))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    process.exit(2)
  }
}

const options = readOptions()
if (options === undefined) process.stdout.write(usage)
else process.exitCode = await soak(options)
