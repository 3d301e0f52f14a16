/**
 * Progress handling: runs a handler on the reports of an operation, one report at a time, in order.
 *
 * The handler belongs to the program. Its failures are logged, and an operation waits for it only so long: the result of a tool that ran
 * reaches the caller whatever the handler does.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as monotonic from "../monotonic.ts"
import { guardTelemetry } from "../telemetry/guard.ts"

/** How many reports are kept for a slow handler: the latest. */
const capacity = 64

/** A handler may be an effect or a plain function. */
type Handle<A> = (value: A) => Effect.Effect<void> | void

export interface ReportOptions<A, B, E> {
  readonly handler: Handle<B>
  /** What is reported, for the log. */
  readonly what: string
  /** How long the handler may take: from the start of the operation, or from its end. */
  readonly limit: Duration.Duration
  readonly from: "start" | "end"
  readonly operation: (report: (value: B) => void) => Effect.Effect<A, E>
}

/**
 * Runs an operation that reports. Ends when the operation has ended and all its reports are handled, or their time is over; interruption ends
 * both at once.
 */
export const withReports = <A, B, E>(options: ReportOptions<A, B, E>): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const { handler, operation, what } = options
      const startedAt = yield* monotonic.now
      const reports = yield* Queue.sliding<B, Cause.Done>(capacity)
      const handled = Stream.runForEach(Stream.fromQueue(reports), (value) => isolated(handler, value, what))
      // Detached: a handler that cannot be interrupted does not hold its caller.
      const handling = yield* Effect.forkDetach(restore(handled))
      const finish = Effect.suspend(() => {
        Queue.endUnsafe(reports)
        return awaitHandler(options, startedAt, handling)
      })
      return yield* Effect.exit(restore(operation((value) => void Queue.offerUnsafe(reports, value)))).pipe(
        Effect.tap((exit) => Exit.hasInterrupts(exit) ? Effect.void : restore(finish)),
        Effect.ensuring(Effect.sync(() => handling.interruptUnsafe())),
        Effect.flatten
      )
    })
  )

const awaitHandler = <A, B, E>(
  { from, limit, what }: ReportOptions<A, B, E>,
  startedAt: number,
  handling: Fiber.Fiber<unknown, unknown>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const passed = from === "end" ? 0 : (yield* monotonic.now) - startedAt
    const left = Math.max(0, Duration.toMillis(limit) - passed)
    const ended = yield* Effect.timeoutOption(Fiber.await(handling), left)
    if (Option.isNone(ended)) yield* guardTelemetry(Effect.logWarning(`the handler of ${what} did not end in time`))
  })

const isolated = <A>(handler: Handle<A>, value: A, what: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const handling = handler(value)
    return Effect.isEffect(handling) ? handling : Effect.void
  }).pipe(
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterruptsOnly(cause),
      (cause) => guardTelemetry(Effect.logError(`the handler of ${what} failed`, cause))
    )
  )
