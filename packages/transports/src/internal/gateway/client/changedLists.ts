/**
 * Changed lists: fetches the lists of a client's own session that have changed, and notifies the client once they are known.
 *
 * A failed fetch is retried, so the client does not keep an old list. Lists are fetched independently.
 */
import type { Session } from "@mcp-sessions/core/Session"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type ChangedList, mayRecover } from "../catalog/catalog.ts"
import { encodeNotification } from "../protocol/rpc.ts"
import type { ClientSession } from "./clientSession.ts"

/** When a list is fetched again that could not be fetched: for about half an hour. */
const fetchAgain = Schedule.min([Schedule.exponential("1 second", 2), Schedule.spaced("60 seconds")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 36 })
)

/** Encodes the notification that a list has changed. */
export const listChanged = (list: ChangedList): string => encodeNotification(`notifications/${list}/list_changed`)

/** Gives what takes note of a changed list. Changes that arrive while the list is fetched are one change. */
export const followChanges = (
  client: Pick<ClientSession, "listListeners" | "lists" | "send">,
  session: Session
): Effect.Effect<(list: ChangedList) => void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const changed = new Set<ChangedList>()
    const fetching = new Set<ChangedList>()
    const fetch = (list: ChangedList): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!changed.delete(list)) return Effect.void
        return client.lists.fetch(session, list).pipe(
          Effect.retry({ schedule: fetchAgain, while: mayRecover }),
          Effect.matchEffect({
            onFailure: (error) =>
              Effect.logWarning(`the changed ${list} of ${session.server} cannot be fetched`, error),
            onSuccess: () =>
              Effect.sync(() => {
                client.send(listChanged(list))
                for (const listener of client.listListeners) listener(list)
              })
          }),
          Effect.andThen(Effect.suspend(() => fetch(list)))
        )
      })
    return (list) => {
      changed.add(list)
      if (fetching.has(list)) return
      fetching.add(list)
      const fetched = fetch(list).pipe(
        Effect.catchDefect((defect) =>
          Effect.logError(`the gateway failed to fetch the changed ${list} of ${session.server}`, defect)
        ),
        Effect.ensuring(Effect.sync(() => fetching.delete(list)))
      )
      Fiber.runIn(fork(fetched), scope)
    }
  })
