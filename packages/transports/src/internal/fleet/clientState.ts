/**
 * Client state: what a client has set in its session, beside what its ticket holds. The node that has the stream of the client keeps a copy, and
 * gives it to the next owner.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Reply } from "../gateway/clientCall.ts"
import type { ClientSession } from "../gateway/clientSession.ts"
import type { Dispatcher } from "../gateway/dispatcher.ts"

const State = Schema.fromJsonString(Schema.Struct({
  /** Tells the session of one owner from that of the next. */
  session: Schema.String,
  logLevel: Schema.optionalKey(Schema.String),
  subscriptions: Schema.Array(Schema.String)
}))

const decode = Schema.decodeUnknownOption(State)

/** Encodes the state of a client. */
export const stateOf = ({ log: { level: logLevel }, resumable: { session }, subscriptions }: ClientSession): string =>
  JSON.stringify({ session, ...(logLevel === undefined ? {} : { logLevel }), subscriptions: [...subscriptions.keys()] })

/** Nobody waits for these responses. */
const silent: Reply = { related: () => false, settle: () => {} }

/** Sets what a client had set at the owner before, beside what it has set here. */
export const restore = (dispatcher: Dispatcher, client: ClientSession, text: string): void => {
  const state = Option.getOrUndefined(decode(text))
  if (state === undefined || state.session === client.resumable.session) return
  const requests = [
    ...(state.logLevel === undefined || client.log.level !== undefined
      ? []
      : [{ method: "logging/setLevel", params: { level: state.logLevel } }]),
    ...state.subscriptions.map((uri) => ({ method: "resources/subscribe", params: { uri } }))
  ]
  requests.forEach((request, index) =>
    dispatcher.run(client, { jsonrpc: "2.0", id: `restored ${index}`, ...request }, silent, { isRestored: true })
  )
}
