/**
 * Forwards notifications of servers to a client.
 *
 * Each open session has this, so it has no stream and no buffer while nothing is to be done.
 */
import type { Notification } from "@mcp-sessions/core/Notification"
import * as Relay from "@mcp-sessions/core/Relay"
import { reconnectDefault } from "@mcp-sessions/core/RetryPolicy"
import type { Session } from "@mcp-sessions/core/Session"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ChangedList } from "../catalog/catalog.ts"
import { encodeNotification } from "../protocol/rpc.ts"
import { followChanges } from "./changedLists.ts"
import type { ClientSession } from "./clientSession.ts"

const changes: Readonly<Partial<Record<Notification["_tag"], ChangedList>>> = {
  ToolsChanged: "tools",
  ResourcesChanged: "resources",
  PromptsChanged: "prompts"
}

/** Passes notifications on for as long as the scope. */
export const attend = (client: ClientSession, session: Session): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { server } = session
    const onChange = yield* followChanges(client, session)
    const listener = (notification: Notification): void => {
      const list = changes[notification._tag]
      if (list !== undefined) onChange(list)
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

/** Sets the log level of a session before the client uses it. */
export const prepare = (client: ClientSession, session: Session): Effect.Effect<void> => client.log.tell(session)
