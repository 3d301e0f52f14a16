/**
 * What all handles to one server share for one owner: its connection, what was asked of it for good, and its lists.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { ClientHandlers } from "../../ClientHandlers.ts"
import type { LogMessage } from "../../Notification.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import * as managedConnection from "../connection/managedConnection.ts"
import * as lists from "../notifications/listCache.ts"
import * as subscriptions from "../notifications/subscriptionManager.ts"
import type { Identity } from "../registry/identity.ts"
import * as delivery from "../request/execute.ts"

export interface SessionCore {
  /** As whom it is connected, or was the last time. */
  readonly identity: () => Identity
  readonly managed: managedConnection.ManagedConnection
  readonly subscriptions: subscriptions.Subscriptions
  readonly lists: lists.Lists
  /** The way to the server. */
  readonly deliver: delivery.Deliver
  /** The same for what no handle asks for, in one try. */
  readonly performOnce: delivery.Perform
}

/** How many log messages wait for a handler that falls behind: the latest. */
const waitingMessages = 256

/** Makes what is shared, which ends with the scope. */
export const make = Effect.fnUntraced(function*(
  options: Omit<managedConnection.Options, "logLevel" | "peer"> & { readonly identity: () => Identity }
): Effect.fn.Return<SessionCore, never, Scope.Scope> {
  const given = yield* ClientHandlers
  const { definition: { name: server }, identity, owner, reconnect, retry } = options
  const handlers = typeof given === "function" ? given({ owner, server }) : given
  const { logging } = handlers
  const peer = { owner, server, handlers }
  const managed = yield* managedConnection.make({ ...options, peer, logLevel: logging?.level })
  const subscribed = yield* subscriptions.make({ managed, retry, reconnect })
  const deliver = delivery.make(managed)
  const via: delivery.Via = { retry, ended: undefined, isOnce: false }
  const once: delivery.Via = { retry: RetryPolicy.never, ended: undefined, isOnce: true }
  const perform: delivery.Perform = (operation) => deliver(operation, via)
  const performOnce: delivery.Perform = (operation) => deliver(operation, once)
  const listed = yield* lists.make({ managed, subscriptions: subscribed, perform })
  if (logging !== undefined) {
    const messages = yield* managed.hub.subscribe({
      capacity: waitingMessages,
      isFor: ({ _tag }) => _tag === "LogMessage"
    })
    yield* Queue.take(messages).pipe(
      Effect.flatMap((message) =>
        // One message that its handler chokes on is not to be the last.
        Effect.catchCause(
          logging.handle(message as LogMessage, { owner, server }),
          (cause) => Effect.logError("the handler of log messages failed", cause)
        )
      ),
      Effect.forever,
      Effect.forkScoped
    )
  }
  return { identity, managed, subscriptions: subscribed, lists: listed, deliver, performOnce }
})
