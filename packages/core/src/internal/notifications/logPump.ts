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

/** Handles log messages for as long as the scope. A message whose handler fails is reported, and the next one is handled. */
export const make = (options: {
  readonly hub: NotificationHub
  readonly handle: (message: LogMessage) => Effect.Effect<void>
}): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const messages = yield* options.hub.subscribe({ capacity, filter: ({ _tag }) => _tag === "LogMessage" })
    yield* messages.take.pipe(
      Effect.flatMap((message) =>
        message._tag === "LogMessage"
          ? Effect.catchCause(
            options.handle(message),
            (cause) => Effect.logError("the handler of log messages failed", cause)
          )
          : dropped(message)
      ),
      Effect.forever,
      Effect.forkScoped
    )
  })
