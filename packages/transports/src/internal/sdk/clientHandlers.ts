/**
 * Client handlers as request handlers of the SDK's client.
 *
 * A handler learns the call on whose behalf the server asks. In the legacy era the engine knows it (`callOf`); in the modern era it is the
 * call whose result asks for input, which {@link AskableClient} keeps for all rounds.
 */
import { type Call, type Handlers, type Origin, RequestRefused } from "@mcp-sessions/core/ClientHandlers"
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { Peer } from "@mcp-sessions/core/Transport"
import {
  Client,
  type ClientCapabilities,
  type ClientContext,
  type JSONRPCRequest,
  ProtocolError,
  ProtocolErrorCode,
  type RequestId,
  type Transport
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { withHandlerSpan } from "./handlerSpan.ts"

/** The code that the specification gives a user's refusal. */
const refusalCode = -1

/** How many handlers of one connection may run at the same time. */
const handlerLimit = 32

/** What a server receives that asks for more. */
const overloaded = new RequestRefused({ code: -32000, description: "too many earlier requests are not answered yet" })

const isRefusal = Schema.is(RequestRefused)

/** Declares the handlers that are present. */
export const capabilitiesOf = (handlers: Handlers): ClientCapabilities => {
  const { capabilities, elicitation, roots, rootsChanges, sampling } = handlers
  const modes = {
    ...(elicitation?.form === undefined ? {} : { form: { applyDefaults: true } }),
    ...(elicitation?.url === undefined ? {} : { url: {} })
  }
  return {
    ...(sampling === undefined ? {} : { sampling: { ...capabilities?.sampling } }),
    ...(Object.keys(modes).length === 0 ? {} : { elicitation: { ...capabilities?.elicitation ?? modes } }),
    ...(roots === undefined
      ? {}
      : { roots: capabilities?.roots ?? (rootsChanges === undefined ? {} : { listChanged: true }) })
  }
}

/** The context in which the SDK runs a handler. `asking` is the request of an `input_required` round. */
type HandlerContext = ClientContext & { readonly asking?: OutgoingRequest | undefined }

/** Describes a request in flight to handlers. */
const callOfRequest = (request: OutgoingRequest | undefined): Call | undefined => {
  if (request?.id === undefined) return undefined
  const { id, method, params } = request
  return method === "tools/call" && typeof params?.name === "string"
    ? { id, method, tool: params.name }
    : { id, method }
}

/**
 * A client of the SDK that answers requests of the server before it is connected, and tells the handlers of an `input_required` round which
 * call the round belongs to.
 */
export class AskableClient extends Client {
  /** The request whose result the client receives next. Set before a result that asks for input is handed over. */
  asking: OutgoingRequest | undefined

  /**
   * Answers a request of the server before the client is connected: a server may wait for the answer to its ping before it answers the era
   * probe.
   *
   * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#initialization
   */
  answerEarly(request: JSONRPCRequest, transport: Transport): void {
    const early = Object.create(this, { _transport: { value: transport } }) as this
    // Private to the SDK's types. The test of a ping during the probe fails if it is renamed.
    early["_onrequest"](request)
  }

  protected override _resolveNonCompleteResult(
    ...[decoded, flow]: Parameters<Client["_resolveNonCompleteResult"]>
  ): Promise<unknown> {
    const { asking } = this
    // All rounds of one call run on this object, and the handlers get their context from it.
    const round = Object.create(this, {
      buildContext: { value: (context: ClientContext): HandlerContext => ({ ...context, asking }) }
    }) as AskableClient
    return super._resolveNonCompleteResult.call(round, decoded, flow)
  }
}

/** What the server receives as the error of a request whose handler has failed. */
const answerOf = (error: unknown): ProtocolError =>
  isRefusal(error)
    ? new ProtocolError(error.code ?? refusalCode, error.description, error.data)
    : new ProtocolError(ProtocolErrorCode.InternalError, "the handler of the client failed")

/**
 * Registers the handlers that are present. A number of them runs at the same time: further requests of a legacy server are refused. The
 * questions in a result of a modern server wait, because the result holds them all already. Each run ends with the connection, and when the server cancels its request. */
export const attach = (options: {
  readonly client: Client
  readonly peer: typeof Peer.Service
  /** The call that a request of a legacy server belongs to, as far as that is known. */
  readonly callOf: (id: RequestId) => OutgoingRequest | undefined
  readonly run: <A, E>(effect: Effect.Effect<A, E>, options: { readonly signal: AbortSignal }) => Promise<A>
}): void => {
  const { callOf, client, peer: { handlers, owner, server } } = options
  const running = Semaphore.makeUnsafe(handlerLimit)
  const limited = <A>(
    handled: Effect.Effect<A, RequestRefused>,
    asking: OutgoingRequest | undefined
  ): Effect.Effect<A, RequestRefused> =>
    asking !== undefined ? running.withPermits(1)(handled) : Effect.flatMap(
      running.withPermitsIfAvailable(1)(handled),
      Option.match({ onNone: () => Effect.fail(overloaded), onSome: Effect.succeed })
    )
  const run = <A>(
    handle: (origin: Origin) => Effect.Effect<A, RequestRefused>,
    { asking, mcpReq: { _meta: meta, id, method, signal } }: HandlerContext
  ): Promise<A> => {
    const request = asking ?? callOf(id)
    // In a round of the modern era, the SDK gives the key of the question in place of an id.
    const key = asking === undefined ? {} : { key: String(id) }
    const handled = Effect.suspend(() => handle({ owner, server, call: callOfRequest(request), ...key })).pipe(
      // The text of a defect may quote what the server must not see.
      Effect.tapDefect((cause) => Effect.logError(`the handler of ${method} for ${server} failed`, cause))
    )
    const spanned = withHandlerSpan({ handled, server, method, meta, call: request })
    return options.run(limited(spanned, asking), { signal }).catch((error: unknown) => {
      throw answerOf(error)
    })
  }
  const { elicitation, roots, sampling } = handlers
  if (sampling !== undefined) {
    client.setRequestHandler(
      "sampling/createMessage",
      ({ params }, context) => run((origin) => sampling(params, origin), context)
    )
  }
  if (elicitation?.form !== undefined || elicitation?.url !== undefined) {
    const { form, url } = elicitation
    client.setRequestHandler("elicitation/create", ({ params }, context) => {
      // The SDK refuses modes that were not declared before it calls the handler.
      if (params.mode === "url") return url === undefined ? { action: "cancel" } : run((at) => url(params, at), context)
      return form === undefined ? { action: "cancel" } : run((at) => form(params, at), context)
    })
  }
  if (roots !== undefined) {
    client.setRequestHandler("roots/list", async (_, context) => ({ roots: [...(await run(roots, context))] }))
  }
}
