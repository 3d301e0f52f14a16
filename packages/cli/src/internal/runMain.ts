/**
 * Runs the command line as the main program of the process.
 *
 * The first SIGINT, SIGTERM or SIGHUP interrupts the command, which cancels requests in flight and closes all connections. The exit
 * status is then 128 plus the signal number. A second signal ends the process and its children at once.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constants } from "node:os"
import process from "node:process"
import { type Invocation, layer } from "../Invocation.ts"
import { content } from "../Shown.ts"
import { onSignal } from "./signals.ts"

/** Runs an effect that succeeds with the exit status, and ends the process. Prints defects. */
export const runMain = (effect: Effect.Effect<number, never, Invocation>): void => {
  let status: number | undefined
  const fiber = Effect.runFork(Effect.provide(effect, layer))
  const keepAlive = setInterval(() => {}, 2 ** 30)
  onSignal((signal) => {
    const code = 128 + constants.signals[signal]
    if (status !== undefined) process.exit(code)
    status = code
    fiber.interruptUnsafe()
  })
  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    if (Exit.isSuccess(exit)) process.exit(status ?? exit.value)
    if (!Cause.hasInterruptsOnly(exit.cause)) {
      process.stderr.write(`error[Unexpected]: ${content(Cause.pretty(exit.cause)).text}\n`)
      process.exit(status ?? 1)
    }
    process.exit(status ?? 130)
  })
}
