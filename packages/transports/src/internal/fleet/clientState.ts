/**
 * Client state: the settings of a client's session that its ticket does not contain. The node that has the stream of the client keeps a copy, and
 * gives it to the next owner.
 */
import { logLevels } from "@mcp-sessions/core/Notification"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ClientSession } from "../gateway/client/clientSession.ts"
import { subscribe } from "../gateway/client/subscribe.ts"

const State = Schema.fromJsonString(Schema.Struct({
  /** Tells the session of one owner from that of the next. */
  session: Schema.String,
  logLevel: Schema.optionalKey(Schema.Literals(logLevels)),
  subscriptions: Schema.Array(Schema.String)
}))

const decode = Schema.decodeUnknownOption(State)

/** Encodes the state of a client. */
export const stateOf = ({ log: { level: logLevel }, resumable: { session }, subscriptions }: ClientSession): string =>
  JSON.stringify(
    {
      session,
      ...(logLevel === undefined ? {} : { logLevel }),
      subscriptions: subscriptions.uris
    } satisfies typeof State.Type
  )

/**
 * Restores the settings of a client from the previous owner, and keeps the settings that it made here. Does not wait for servers. Logs settings that cannot be restored. The text is
 * empty if the client had no stream at another owner.
 */
export const restore = (client: ClientSession, text: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (text === "") return Effect.void
    const state = Option.getOrUndefined(decode(text))
    if (state === undefined) {
      return Effect.logWarning(
        `the log level and the subscriptions of a session of ${client.principal} are lost: the state that another node has sent is not readable`
      )
    }
    const { logLevel, session, subscriptions } = state
    if (session === client.resumable.session) return Effect.void
    const level = logLevel === undefined || client.log.level !== undefined
      ? Effect.void
      : client.log.set(logLevel, client.upstreams.own)
    const again = (uri: string) =>
      subscribe(client, uri).pipe(
        Effect.catch((error) =>
          Effect.logWarning(`a subscription of a session of ${client.principal} is lost: ${error.message}`)
        ),
        Effect.forkIn(client.scope, { startImmediately: true })
      )
    return Effect.andThen(level, Effect.forEach(subscriptions, again, { discard: true }))
  })
