/**
 * Subscribes clients to resources of the servers that have them.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { toRpcError } from "../protocol/failures.ts"
import { codes, encodeNotification, RpcError } from "../protocol/rpc.ts"
import type { ClientSession } from "./clientSession.ts"

/** The longest URI that a client may subscribe to, in characters. */
const uriLimit = 4096

/** The failure of a request for a resource that no server has. */
export const unknownResource = (uri: string): Effect.Effect<never, RpcError> =>
  Effect.fail(new RpcError({ code: codes.resourceNotFound, message: "no server has this resource", data: { uri } }))

/** Subscribes a client to a resource, and waits until the server notifies of changes. */
export const subscribe = (client: ClientSession, uri: string): Effect.Effect<void, RpcError> => {
  if (uri.length > uriLimit) {
    const message = `uri has more than ${uriLimit} characters`
    return Effect.fail(new RpcError({ code: codes.invalidParams, message }))
  }
  const server = client.lists.offer.serverOf(uri)
  if (server === undefined) return unknownResource(uri)
  const follow = (established: Effect.Effect<void>) =>
    client.upstreams.get(server).pipe(
      Effect.flatMap((session) =>
        Stream.runForEach(session.subscribe(uri), (update) =>
          update._tag === "Listening"
            ? established
            : Effect.sync(() =>
              client.send(encodeNotification("notifications/resources/updated", { uri: update.uri }), server)
            ))
      ),
      Effect.mapError(toRpcError)
    )
  return client.subscriptions.add(uri, { server, follow })
}
