/**
 * Servers in this process: each is an effect with streams of its own, in the place of a child process.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { PassThrough, type Readable, type Writable } from "node:stream"
import type { Processes, ProcessExit, ProcessOptions } from "../../Processes.ts"
import { firstOf } from "../timeout.ts"
import { gracePeriod } from "./gracePeriod.ts"

/** What a program is run with: the ends of the streams that are its own. */
export interface Program extends ProcessOptions {
  /** What the session writes. It ends when the session closes. */
  readonly stdin: Readable
  /** What the session reads: messages, one a line. */
  readonly stdout: Writable
  /** What errors quote. */
  readonly stderr: Writable
}

type Run = (program: Program) => Effect.Effect<number, never, Scope.Scope>

const exitOf = (exit: Exit.Exit<number>): ProcessExit => {
  if (Exit.isSuccess(exit)) return { exitCode: exit.value, signal: null }
  return Cause.hasInterrupts(exit.cause) ? { exitCode: null, signal: "SIGKILL" } : { exitCode: 1, signal: null }
}

export const make = (run: Run): Processes => ({
  prepare: () => Effect.void,
  start: (options) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.gen(function*() {
          const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
          const fiber = yield* Effect.forkDetach(
            Effect.scoped(Effect.suspend(() => run({ ...options, stdin, stdout, stderr }))).pipe(
              Effect.interruptible,
              Effect.tapCause((cause) =>
                Effect.sync(() => void (Cause.hasInterrupts(cause) || stderr.write(`${Cause.pretty(cause)}\n`)))
              )
            )
          )
          const exited = new Promise<ProcessExit>((resolve) => {
            fiber.addObserver((exit) => {
              stdout.end()
              stderr.end()
              resolve(exitOf(exit))
            })
          })
          return { fiber, process: { stdin, stdout, stderr, exited } }
        }),
        ({ fiber, process: { exited, stderr, stdin, stdout } }) =>
          Effect.promise(async () => {
            stdin.end()
            await firstOf({ event: exited, millis: gracePeriod })
          }).pipe(
            Effect.andThen(Fiber.interrupt(fiber)),
            Effect.andThen(Effect.sync(() => {
              for (const stream of [stdin, stdout, stderr]) stream.destroy()
            }))
          )
      ),
      ({ process }) => process
    )
})
