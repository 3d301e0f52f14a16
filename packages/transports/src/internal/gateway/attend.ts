/**
 * Attends to the sessions of a client: passes on to the client what its servers notify of.
 *
 * Each open session has this, so it has no stream and no buffer while nothing is to be done.
 */
import type { Notification } from "@mcp-sessions/core/Notification"
import * as Relay from "@mcp-sessions/core/Relay"
import { reconnectDefault } from "@mcp-sessions/core/RetryPolicy"
import type { Session } from "@mcp-sessions/core/Session"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ChangedList } from "./catalog.ts"
import type { ClientSession } from "./clientSession.ts"
import { encodeNotification } from "./rpc.ts"

/** Encodes the notification that a list has changed. */
export const listChanged = (list: ChangedList): string => encodeNotification(`notifications/${list}/list_changed`)

const changes: Readonly<Partial<Record<Notification["_tag"], ChangedList>>> = {
  ToolsChanged: "tools",
  ResourcesChanged: "resources",
  PromptsChanged: "prompts"
}

/** Fetches the lists of a session that have changed, one at a time. Changes that arrive while a list waits are one change. */
const fetchLists = (
  client: ClientSession,
  session: Session
): Effect.Effect<(list: ChangedList) => void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const changed = new Set<ChangedList>()
    let isFetching = false
    const next: Effect.Effect<void> = Effect.suspend(() => {
      const [list] = changed
      if (list === undefined) {
        isFetching = false
        return Effect.void
      }
      changed.delete(list)
      return client.lists.fetch(session, list).pipe(
        Effect.andThen(Effect.sync(() => {
          client.send(listChanged(list))
          for (const listener of client.listListeners) listener(list)
        })),
        Effect.ignore,
        Effect.andThen(next)
      )
    })
    return (list) => {
      changed.add(list)
      if (isFetching) return
      isFetching = true
      Fiber.runIn(fork(next), scope)
    }
  })

/** Passes notifications on for as long as the scope. */
export const attend = (client: ClientSession, session: Session): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { server } = session
    const fetchList = yield* fetchLists(client, session)
    const listener = (notification: Notification): void => {
      const list = changes[notification._tag]
      if (list !== undefined) fetchList(list)
      else if (notification._tag === "LogMessage") {
        const { call, data, level, logger } = notification
        const params = { level, ...(logger === undefined ? {} : { logger }), data }
        client.sendLog(encodeNotification("notifications/message", params), { server, level, call })
      } else if (notification._tag === "ElicitationCompleted") {
        const { elicitationId } = notification
        client.send(encodeNotification("notifications/elicitation/complete", { elicitationId }), server)
      }
    }
    yield* Relay.onNotification({ session, listener })
    const isLegacy = yield* Effect.match(session.connect, {
      onFailure: () => false,
      onSuccess: ({ era }) => era === "legacy"
    })
    // Other servers notify of changes only while they are asked to.
    if (!isLegacy) {
      yield* Stream.runDrain(session.notifications).pipe(
        Effect.retry(reconnectDefault),
        Effect.ignore,
        Effect.forkScoped({ startImmediately: true })
      )
    }
  })

/** Makes a session what its client wants, before the client uses it. */
export const prepare = (client: ClientSession, session: Session): Effect.Effect<void> => client.log.tell(session)
