/**
 * Questions: requests of servers that the client behind the session answers, as client handlers of the gateway.
 *
 * A server learns the capabilities of that client alone. The session that follows the lists declares all of them, because some servers offer a tool
 * only to clients that can answer. It declines all questions. A session that clients share declares no capabilities.
 */
import type { Handlers, Origin, Peer } from "@mcp-sessions/core/ClientHandlers"
import { RequestRefused } from "@mcp-sessions/core/ClientHandlers"
import type { CreateMessageParams, CreateMessageResult, ElicitResult, Root } from "@mcp-sessions/core/Mcp"
import { isSpecType } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { codes } from "../protocol/rpc.ts"
import type { ClientSession } from "./clientSession.ts"
import type { WaitingCalls } from "./waitingCalls.ts"

/** How long a client may take to answer. */
const answerTimeout = "10 minutes"

/** The failure of a question about a call that may not wait for the answer. */
const tooManyWaiting = new RequestRefused({ code: codes.limited, description: "too many calls wait for answers" })

/** The failure of a question whose answer is of another shape than the specification gives to results of its method. */
const badAnswer = (method: string) =>
  new RequestRefused({ code: codes.internalError, description: `the client did not answer with a result of ${method}` })

/** A client that is asked, and the calls of all clients that wait for answers. */
interface Asked {
  readonly client: ClientSession
  readonly waiting: WaitingCalls
}

/** Asks the client of a session, and gives its result. An error of the client reaches the server verbatim. */
const ask = <A>(
  { client, waiting }: Asked,
  question: {
    readonly method: string
    readonly params?: object
    /** Whether an answer is a result of the method. */
    readonly isResult: (answer: unknown) => answer is A
  },
  { call: sent, key, server }: Origin
): Effect.Effect<A, RequestRefused> => {
  const { isResult, method, params } = question
  const call = client.calls.of(server, sent?.id) ?? (client.isModern ? client.calls.onlyAt(server) : undefined)
  const begin = Effect.suspend(() => {
    const end = waiting.begin({ client, server, call })
    if (end !== undefined) return Effect.succeed(end)
    call?.refuse?.()
    return Effect.fail(tooManyWaiting)
  })
  const answer = client.ask(method, params, { server, key, call }).pipe(
    Effect.mapError(({ code, data, message }) => new RequestRefused({ code, description: message, data })),
    Effect.filterOrFail(isResult, () => badAnswer(method)),
    Effect.timeoutOrElse({
      duration: answerTimeout,
      orElse: () => Effect.fail(new RequestRefused({ code: -32_001, description: "the client did not answer" }))
    })
  )
  return Effect.acquireUseRelease(begin, () => answer, (end) => Effect.sync(end))
}

/** The results of sampling: those with several contents are for requests with tools. */
const isSampled = ({ tools }: CreateMessageParams) => (answer: unknown): answer is CreateMessageResult =>
  tools === undefined ? isSpecType.CreateMessageResult(answer) : isSpecType.CreateMessageResultWithTools(answer)

const isListed = (answer: unknown): answer is { readonly roots: ReadonlyArray<Root> } =>
  isSpecType.ListRootsResult(answer)

const isElicited = (answer: unknown): answer is ElicitResult => isSpecType.ElicitResult(answer)

const handlersOfClient = (asked: Asked): Handlers => {
  const { client } = asked
  const { capabilities } = client
  const { elicitation, roots, sampling } = capabilities
  // Before 2025-11-25, an empty capability stood for forms.
  const hasForm = elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined)
  const hasUrl = elicitation?.url !== undefined
  const elicit = (params: object, origin: Origin) =>
    ask(asked, { method: "elicitation/create", params, isResult: isElicited }, origin)
  return {
    capabilities,
    // A server that asks while a call runs can do so in the legacy era only, as its client can.
    prefersLegacy: !client.isModern,
    ...(sampling === undefined ? {} : {
      sampling: (params, origin) =>
        ask(asked, { method: "sampling/createMessage", params, isResult: isSampled(params) }, origin)
    }),
    ...(elicitation === undefined ? {} : {
      elicitation: {
        ...(hasForm ? { form: elicit } : {}),
        ...(hasUrl ? { url: elicit } : {})
      }
    }),
    ...(roots === undefined ? {} : {
      roots: (origin) =>
        Effect.map(ask(asked, { method: "roots/list", isResult: isListed }, origin), ({ roots }) => roots)
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
  readonly waiting: WaitingCalls
}) =>
({ owner }: Peer): Handlers => {
  if (owner === options.catalogOwner) return handlersOfCatalog
  const client = options.clientOf(owner)
  return client === undefined ? {} : handlersOfClient({ client, waiting: options.waiting })
}
