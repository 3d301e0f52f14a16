/**
 * Questions: requests of servers that the client behind the session answers, as client handlers of the gateway.
 *
 * A server learns the capabilities of that client alone. The session that follows the lists declares all of them, because some servers offer a
 * tool only to clients that can answer, and declines what it is asked. A session that clients share declares none.
 */
import type { Handlers, Origin, Peer } from "@mcp-sessions/core/ClientHandlers"
import { RequestRefused } from "@mcp-sessions/core/ClientHandlers"
import type { CreateMessageResult, ElicitResult, Root } from "@mcp-sessions/core/Mcp"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { ClientSession } from "./clientSession.ts"

/** How long a client may take to answer. */
const answerTimeout = "10 minutes"

const notAnObject = new RequestRefused({ code: -32_603, description: "the client answered without a result" })

/** Asks the client of a session, and gives its result. An error of the client reaches the server verbatim. */
const ask = <A>(
  client: ClientSession,
  method: string,
  params: object | undefined,
  { call, key, server }: Origin
): Effect.Effect<A, RequestRefused> =>
  client.ask(method, params, { server, key, call: client.calls.of(server, call?.id) }).pipe(
    Effect.mapError(({ code, data, message }) => new RequestRefused({ code, description: message, data })),
    Effect.filterOrFail(Predicate.isObject, () => notAnObject),
    Effect.timeoutOrElse({
      duration: answerTimeout,
      orElse: () => Effect.fail(new RequestRefused({ code: -32_001, description: "the client did not answer" }))
    })
  ) as Effect.Effect<A, RequestRefused>

const handlersOfClient = (client: ClientSession): Handlers => {
  const { capabilities } = client
  const { elicitation, roots, sampling } = capabilities
  // Before 2025-11-25, an empty capability stood for forms.
  const hasForm = elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined)
  const hasUrl = elicitation?.url !== undefined
  return {
    capabilities,
    // A server that asks while a call runs can do so in the legacy era only, as its client can.
    prefersLegacy: !client.isModern,
    ...(sampling === undefined ? {} : {
      sampling: (params, origin) => ask<CreateMessageResult>(client, "sampling/createMessage", params, origin)
    }),
    ...(elicitation === undefined ? {} : {
      elicitation: {
        ...(hasForm
          ? { form: (params, origin) => ask<ElicitResult>(client, "elicitation/create", params, origin) }
          : {}),
        ...(hasUrl ? { url: (params, origin) => ask<ElicitResult>(client, "elicitation/create", params, origin) } : {})
      }
    }),
    ...(roots === undefined ? {} : {
      roots: (origin) =>
        Effect.map(
          ask<{ readonly roots: ReadonlyArray<Root> }>(client, "roots/list", undefined, origin),
          ({ roots }) => roots
        )
    }),
    ...(roots?.listChanged === true ? { rootsChanges: Stream.fromPubSub(client.rootsChanges) } : {})
  }
}

const declined = Effect.succeed<ElicitResult>({ action: "decline" })

const refused = Effect.fail(new RequestRefused({ description: "no client asked for this" }))

/** The handlers of the session that follows the lists of a server. */
const handlersOfCatalog: Handlers = {
  sampling: () => refused,
  elicitation: { form: () => declined, url: () => declined },
  roots: () => Effect.succeed([])
}

/** The handlers of each session of a gateway. */
export const handlersOf = (options: {
  readonly catalogOwner: string
  readonly clientOf: (owner: string) => ClientSession | undefined
}) =>
({ owner }: Peer): Handlers => {
  if (owner === options.catalogOwner) return handlersOfCatalog
  const client = options.clientOf(owner)
  return client === undefined ? {} : handlersOfClient(client)
}
