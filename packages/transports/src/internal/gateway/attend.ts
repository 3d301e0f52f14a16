/**
 * Attends the sessions of a client: passes on to the client what its servers notify of.
 */
import type { Notification } from "@mcp-sessions/core/Notification"
import { reconnectDefault } from "@mcp-sessions/core/RetryPolicy"
import type { Session } from "@mcp-sessions/core/Session"
import * as Effect from "effect/Effect"
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

/** Passes notifications on for as long as the session is open. */
export const attend = (client: ClientSession, session: Session): Effect.Effect<void> => {
  const { server } = session
  const pass = (notification: Notification): Effect.Effect<void> => {
    const list = changes[notification._tag]
    if (list !== undefined) {
      return client.lists.fetch(session, list).pipe(
        Effect.andThen(Effect.sync(() => {
          client.send(listChanged(list))
          for (const listener of client.listListeners) listener(list)
        })),
        Effect.ignore
      )
    }
    return Effect.sync(() => {
      if (notification._tag === "LogMessage") {
        const { data, level, logger } = notification
        const params = { level, ...(logger === undefined ? {} : { logger }), data }
        client.send(encodeNotification("notifications/message", params), server)
      } else if (notification._tag === "ElicitationCompleted") {
        const { elicitationId } = notification
        client.send(encodeNotification("notifications/elicitation/complete", { elicitationId }), server)
      }
    })
  }
  return Stream.runForEach(session.notifications, pass).pipe(Effect.retry(reconnectDefault), Effect.ignore)
}

/** Makes a session what its client wants, before the client uses it. */
export const prepare = (client: ClientSession, session: Session): Effect.Effect<void> =>
  client.logLevel === undefined ? Effect.void : Effect.ignore(session.setLogLevel(client.logLevel))
