/**
 * Real servers under a steady load and under faults, for as long as one likes: what runs twice, what leaks, what fails in a way that
 * nobody declared. Run with `pnpm soak`; docs/soak.md says what is done.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { randomInt } from "node:crypto"
import { read, usage } from "./soak/options.ts"
import { report } from "./soak/report.ts"
import { run } from "./soak/run.ts"
import { judge } from "./soak/verdict.ts"

const asked = read({ args: process.argv.slice(2), anySeed: randomInt(1_000_000) })

switch (asked._tag) {
  case "Help":
    process.stdout.write(usage)
    break
  case "Wrong":
    process.stderr.write(`${asked.problem}\n\n${usage}`)
    process.exitCode = 2
    break
  case "Run": {
    const { options } = asked
    const progress = (line: string) => void process.stderr.write(`${line}\n`)
    if (globalThis.gc === undefined) progress("without --expose-gc the figures of the heap say little")
    progress(
      `seed ${options.seed}, ${options.seconds} seconds, ${options.rate} calls/s, a fault every ${options.faultEvery} s`
    )
    const running = Effect.runFork(run(options, progress))
    // Servers that are frozen at that moment would stay so for ever.
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => running.interruptUnsafe())
    const ended = await Effect.runPromise(Fiber.await(running))
    if (Exit.hasInterrupts(ended)) {
      progress("interrupted")
      process.exitCode = 130
      break
    }
    const findings = await Effect.runPromise(ended)
    const verdict = judge(findings)
    process.stdout.write(report({ findings, verdict }))
    for (const violation of verdict.violations) progress(`VIOLATED: ${violation}`)
    process.exitCode = verdict.violations.length === 0 ? 0 : 1
  }
}
