/**
 * The smallest round trip there is, in the way of the era.
 */
import * as Effect from "effect/Effect"
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import type { Reason } from "../../SessionError.ts"

/** Asks a server for a sign of life. An error in answer is one; not all servers know the method. */
export const signOfLife = ({ connection, info }: {
  readonly connection: Connection
  readonly info: ConnectionInfo | undefined
}): Effect.Effect<void, Reason> =>
  connection.request({ method: info?.era === "modern" ? "server/discover" : "ping", params: undefined }).pipe(
    Effect.asVoid,
    Effect.catchTag(["ProtocolFailed", "InvalidResult"], () => Effect.void)
  )
