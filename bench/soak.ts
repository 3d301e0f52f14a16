/**
 * Calls real servers at a steady rate while they fail, and reports duplicates, leaks and undeclared failures (`pnpm soak`,
 * docs/soak.md).
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { report } from "./soak/report.ts"
import { run } from "./soak/run.ts"

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    rate: { type: "string", default: "50" },
    "fault-every": { type: "string", default: "5" },
    seed: { type: "string", default: String(randomInt(1_000_000)) },
    gateway: { type: "boolean", default: false }
  }
})
const number = (name: Exclude<keyof typeof values, "gateway">, min: number): number => {
  const value = Number(values[name])
  if (value >= min) return value
  throw new RangeError(`--${name} is a number from ${min}, not ${JSON.stringify(values[name])}`)
}
const options = {
  seconds: number("seconds", 10),
  rate: number("rate", 1),
  faultEvery: number("fault-every", 0.5),
  seed: number("seed", 0),
  isThroughGateway: values.gateway
}

const progress = (line: string) => void process.stderr.write(`${line}\n`)
if (globalThis.gc === undefined) progress("without --expose-gc the figures of the heap say little")
progress(`seed ${options.seed}, ${options.seconds} seconds, ${options.rate} calls/s`)
const running = Effect.runFork(run(options, progress))
// Interruption resumes servers that are stopped at that moment.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => running.interruptUnsafe())
const ended = await Effect.runPromise(Fiber.await(running))
if (Exit.hasInterrupts(ended)) process.exitCode = 130
else {
  const { text, violations } = report(await Effect.runPromise(ended))
  process.stdout.write(text)
  for (const violation of violations) progress(`VIOLATED: ${violation}`)
  process.exitCode = violations.length === 0 ? 0 : 1
}
