/**
 * Calls real servers at a steady rate while they fail, and reports duplicates, leaks and undeclared failures (`pnpm soak`,
 * docs/soak.md).
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { runFuzzing } from "./soak/fuzzing.ts"
import { type Options, read, usage } from "./soak/options.ts"
import { report } from "./soak/report.ts"
import { run } from "./soak/run.ts"

const progress = (line: string) => void process.stderr.write(`${line}\n`)

const soak = async (options: Options): Promise<number> => {
  if (globalThis.gc === undefined) progress("without --expose-gc the figures of the heap say little")
  const { fuzz, rate, seconds, seed } = options
  progress(`seed ${seed}, ${seconds} seconds, ${fuzz ? "scripts" : `${rate} calls/s`}`)
  const running = Effect.runFork(fuzz ? runFuzzing(options, progress) : Effect.map(run(options, progress), report))
  // Interruption resumes servers that are stopped at that moment.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => running.interruptUnsafe())
  const ended = await Effect.runPromise(Fiber.await(running))
  if (Exit.hasInterrupts(ended)) return 130
  const { text, violations } = await Effect.runPromise(ended)
  process.stdout.write(`${text}\n`)
  for (const violation of violations) progress(`VIOLATED: ${violation}`)
  return violations.length === 0 ? 0 : 1
}

const readOptions = (): Options | undefined => {
  try {
    return read(process.argv.slice(2))
  } catch (error) {
    progress(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    process.exit(2)
  }
}

const options = readOptions()
if (options === undefined) process.stdout.write(usage)
else process.exitCode = await soak(options)
