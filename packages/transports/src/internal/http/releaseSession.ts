/**
 * Gives a session back to its server with a DELETE, before the connection closes.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
 */
import { TransportFailed } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpEndpoint } from "./httpEndpoint.ts"
import { Exchange, type Wire } from "./httpExchange.ts"

const releaseTimeout = Duration.seconds(2)

/** Succeeds with the status of the response. */
const deleteSession = (options: {
  readonly wire: Wire
  readonly endpoint: HttpEndpoint
}): Effect.Effect<number, TransportFailed> =>
  Effect.callback((resume) => {
    const { endpoint, wire } = options
    let current: Exchange | undefined
    const send = (redirects: number): void => {
      current = new Exchange(wire, {
        onMessage: () => {},
        onSkipped: () => {},
        onEnd: (end) => {
          if (end._tag === "Refused" && endpoint.follow(end, redirects)) return send(redirects + 1)
          if (end._tag === "Broken") {
            const description = "the connection failed"
            return resume(new TransportFailed({ description, delivery: "Unknown", cause: end.error }))
          }
          resume(Effect.succeed("status" in end ? end.status : 200))
        }
      }).start({ target: endpoint.target, method: "DELETE", headers: endpoint.bareHeaders(), body: null })
    }
    send(0)
    return Effect.sync(() => current?.abort())
  })

/** Deletes the session, for `releaseTimeout` at most. A failure is logged: the server forgets idle sessions anyway. */
export const releaseSession = (options: {
  readonly wire: Wire
  readonly endpoint: HttpEndpoint
}): Effect.Effect<void> =>
  deleteSession(options).pipe(
    // The server may have been closing the idle socket that the request went out on.
    Effect.retry({ times: 1 }),
    Effect.timeout(releaseTimeout),
    Effect.flatMap((status) =>
      status < 300 || status === 405
        ? Effect.void
        : Effect.logDebug(`the server did not end the session (HTTP ${status})`)
    ),
    // The error of the platform refers to the request, with its headers.
    Effect.catch(({ message }) => Effect.logDebug(`the session could not be ended: ${message}`))
  )
