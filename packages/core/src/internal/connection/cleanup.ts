/**
 * Closes connections: each for itself, in bounded time, with a report.
 *
 * Closing may take as long as a stubborn process does. Nobody but the scope of the managed has to wait for it, nor for ever.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type CleanupReport, closeTimeout } from "../../Cleanup.ts"

export interface Releases {
  /** Closes the scope of a connection in the background. `generation` is 0 for one that did not come to be. */
  readonly release: (connection: {
    readonly scope: Scope.Closeable
    readonly generation: number
  }) => Effect.Effect<void>
  /** Waits for all that are being closed, and those given besides. What failed is not kept from whoever waits. */
  readonly settle: (
    last: { readonly scope: Scope.Closeable; readonly generation: number } | undefined
  ) => Effect.Effect<void>
}

/** Begins with none. */
export const make = (options: {
  readonly server: string
  readonly onCleanup: (report: CleanupReport) => Effect.Effect<void>
}): Releases => {
  const { onCleanup, server } = options
  const running = new Set<Fiber.Fiber<CleanupReport>>()

  const start = ({ generation, scope }: { readonly scope: Scope.Closeable; readonly generation: number }) =>
    Effect.gen(function*() {
      const began = yield* Clock.currentTimeMillis
      // In a fiber of its own: what hangs in there cannot be interrupted, but it can be left.
      const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
      const exit = Option.getOrUndefined(yield* Effect.timeoutOption(Fiber.await(closing), closeTimeout))
      const report: CleanupReport = {
        server,
        generation,
        outcome: exit === undefined ? "timed-out" : Exit.isSuccess(exit) ? "closed" : "failed",
        cause: exit !== undefined && Exit.isFailure(exit) ? exit.cause : undefined,
        millis: (yield* Clock.currentTimeMillis) - began
      }
      yield* onCleanup(report)
      return report
    }).pipe(
      Effect.forkDetach({ startImmediately: true }),
      Effect.map((fiber) => {
        running.add(fiber)
        fiber.addObserver(() => running.delete(fiber))
        return fiber
      })
    )

  return {
    release: (connection) => Effect.asVoid(start(connection)),
    settle: (last) =>
      Effect.gen(function*() {
        const latest = last === undefined ? [] : [yield* start(last)]
        const reports = yield* Fiber.joinAll(new Set([...running, ...latest]))
        for (const { cause } of reports) {
          if (cause !== undefined) return yield* Effect.failCause(cause)
        }
      })
  }
}
