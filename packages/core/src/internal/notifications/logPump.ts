/**
 * Log pump: hands the log messages of a server to the logging handler, one at a time.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { LogMessage, Notification } from "../../Notification.ts"
import type { NotificationHub } from "./notificationHub.ts"

/** How many messages are kept for a slow handler: the latest. */
const capacity = 256

/** Reports messages that were dropped, at most once for each message that is handled. */
const dropped = (gap: Notification): Effect.Effect<void> =>
  gap._tag === "Listening" && gap.dropped !== undefined
    ? Effect.logWarning(`the handler of log messages is slow: ${gap.dropped} messages were dropped`)
    : Effect.void

/** How many turns of the scheduler the handler of one message may take when the session is closed. It need not wait for anything to end. */
const turnLimit = 10

/**
 * Handles log messages for as long as the scope. A message whose handler fails is reported, and the next one is handled. Before
 * the scope ends, messages that have arrived are handled, unless the handler waits.
 */
export const make = (options: {
  readonly hub: NotificationHub
  readonly handle: (message: LogMessage) => Effect.Effect<void>
}): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    let pending = 0
    const messages = yield* options.hub.subscribe({
      capacity,
      filter: ({ _tag }) => {
        const isLogMessage = _tag === "LogMessage"
        if (isLogMessage) pending++
        return isLogMessage
      }
    })
    const handle = (message: Notification) =>
      message._tag === "LogMessage"
        ? Effect.catchCause(
          options.handle(message),
          (cause) => Effect.logError("the handler of log messages failed", cause)
        )
        : dropped(message)
    yield* messages.take.pipe(
      Effect.flatMap((message) =>
        Effect.tap(handle(message), () => {
          pending -= message._tag === "Listening" ? message.dropped ?? 0 : 1
          return Effect.void
        })
      ),
      Effect.forever,
      Effect.forkScoped
    )
    const drain = Effect.gen(function*() {
      let turns = 0
      for (;;) {
        const before = pending
        if (before === 0 || turns === turnLimit) return
        yield* Effect.yieldNow
        turns = pending < before ? 0 : turns + 1
      }
    })
    // Before the fiber above is interrupted.
    yield* Effect.addFinalizer(() => drain)
  })
