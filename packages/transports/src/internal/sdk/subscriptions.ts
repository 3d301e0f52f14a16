/**
 * Subscribes to the notifications of a server, in the way of its era.
 */
import type { ListenFilter, Listening } from "@mcp-sessions/core/Connection"
import type { RequestReason } from "@mcp-sessions/core/SessionError"
import type { Client, SubscriptionFilter } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { EngineChannel } from "../channel/engineChannel.ts"
import { noTimeout } from "./connecting.ts"

/** How long to wait for the stream of the server's own messages. Some servers do not show it before the first message. */
const streamTimeout = "2 seconds"

/** Subscribes to a legacy server, which sends notifications unasked: along with responses, or on a stream of its own. */
export const listenLegacy = ({ serverStream }: EngineChannel): Effect.Effect<Listening> =>
  Effect.gen(function*() {
    if (serverStream === undefined) return { resources: [], ended: Effect.never }
    const open = Effect.callback<number>((resume) =>
      Effect.sync(serverStream.whenOpen((gaps) => resume(Effect.succeed(gaps))))
    )
    const gaps = yield* Effect.timeoutOrElse(open, {
      duration: streamTimeout,
      orElse: () => Effect.sync(() => serverStream.gaps)
    })
    const ended = Effect.callback<void>((resume) =>
      Effect.sync(serverStream.whenMissed(gaps, () => resume(Effect.void)))
    )
    return { resources: [], ended }
  })

const wireFilterOf = ({ resourceSubscriptions, ...lists }: ListenFilter): SubscriptionFilter => ({
  ...lists,
  ...(resourceSubscriptions === undefined ? {} : { resourceSubscriptions: [...resourceSubscriptions] })
})

/** Subscribes to a modern server, for as long as the scope is open. */
export const listenModern = (options: {
  readonly client: Client
  readonly filter: ListenFilter
  readonly reasonOf: (error: unknown, method: string) => RequestReason
}): Effect.Effect<Listening, RequestReason, Scope.Scope> => {
  const { client, filter, reasonOf } = options
  return Effect.acquireRelease(
    Effect.tryPromise({
      try: (signal) => client.listen(wireFilterOf(filter), { signal, timeout: noTimeout }),
      catch: (error) => reasonOf(error, "subscriptions/listen")
    }),
    (subscription) => Effect.promise(() => subscription.close()),
    { interruptible: true }
  ).pipe(Effect.map(({ closed, honoredFilter }) => ({
    resources: honoredFilter.resourceSubscriptions ?? [],
    ended: Effect.asVoid(Effect.promise(() => closed))
  })))
}
