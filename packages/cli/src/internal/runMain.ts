/**
 * Runs the command line as the main program of the process.
 *
 * The first SIGINT, SIGTERM or SIGHUP interrupts the command, which cancels requests in flight and closes all connections, and says so on
 * stderr. The exit status is then 128 plus the signal number. A second signal ends the process and its children at once.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constants } from "node:os"
import process from "node:process"
import { type Invocation, layer } from "../Invocation.ts"
import { content } from "../Shown.ts"
import { endProcess } from "./endProcess.ts"
import { labels } from "./requestsInFlight.ts"
import { onSignal } from "./signals.ts"

/** How long an end may take before it is announced, in milliseconds, if nothing was in flight. */
const quickEnd = 250

/** Says what the end of the process interrupts. */
const announce = (json: boolean): void => {
  const requests = labels().map(({ text }) => text)
  const text = requests.length === 0
    ? "stopping: closing the connections"
    : `stopping: cancelling ${requests.join(", ")}, and closing the connections`
  process.stderr.write(
    json ? `${JSON.stringify({ stopping: { requests } })}\n` : `${text}; Ctrl+C again ends at once\n`
  )
}

/** Announces the end of the process: at once if it interrupts requests, else if it takes a while. */
const announceEnd = (json: boolean): void => {
  if (labels().length > 0) announce(json)
  else setTimeout(() => announce(json), quickEnd).unref()
}

/**
 * Runs an effect that succeeds with the exit status, and ends the process. Prints defects. `json`: notes are lines of JSON.
 */
export const runMain = (
  ...[effect, { json }]: readonly [Effect.Effect<number, never, Invocation>, { readonly json: boolean }]
): void => {
  let status: number | undefined
  let isEnding = false
  const fiber = Effect.runFork(Effect.provide(effect, layer))
  const keepAlive = setInterval(() => {}, 2 ** 30)
  const end = (code: number): void => {
    isEnding = true
    void endProcess(code)
  }
  onSignal((signal) => {
    const code = 128 + constants.signals[signal]
    if (status !== undefined || isEnding) process.exit(code)
    status = code
    announceEnd(json)
    fiber.interruptUnsafe()
  })
  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    if (Exit.isSuccess(exit)) return end(status ?? exit.value)
    if (Cause.hasInterruptsOnly(exit.cause)) return end(status ?? 130)
    process.stderr.write(`error[Unexpected]: ${content(Cause.pretty(exit.cause)).text}\n`)
    end(status ?? 1)
  })
}
