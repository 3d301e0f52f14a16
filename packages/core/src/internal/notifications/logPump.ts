/**
 * Log pump: hands the log messages of a server to the logging handler, one at a time.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { LogMessage } from "../../Notification.ts"
import type { NotificationHub } from "./notificationHub.ts"

/** How many messages are kept for a slow handler: the latest. */
const capacity = 256

/** Handles log messages for as long as the scope. A message whose handler fails is reported, and the next one is handled. */
export const make = (options: {
  readonly hub: NotificationHub
  readonly handle: (message: LogMessage) => Effect.Effect<void>
}): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const messages = yield* options.hub.subscribe({ capacity, filter: ({ _tag }) => _tag === "LogMessage" })
    yield* Queue.take(messages).pipe(
      Effect.flatMap((message) =>
        Effect.catchCause(
          options.handle(message as LogMessage),
          (cause) => Effect.logError("the handler of log messages failed", cause)
        )
      ),
      Effect.forever,
      Effect.forkScoped
    )
  })
