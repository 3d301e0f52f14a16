/**
 * Handlers of ours as request handlers of the SDK.
 */
import { type Handlers, RequestRefused } from "@mcp-sessions/core/ClientHandlers"
import { type Client, type ClientCapabilities, ProtocolError } from "@modelcontextprotocol/client"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The code that the specification gives a user's refusal. */
const refused = -1

const isRefusal = Schema.is(RequestRefused)

/** What is declared to servers: the handlers that are there. */
export const capabilitiesOf = (handlers: Handlers): ClientCapabilities => {
  const { elicitation, roots, rootsChanges, sampling } = handlers
  const modes = {
    ...(elicitation?.form === undefined ? {} : { form: { applyDefaults: true } }),
    ...(elicitation?.url === undefined ? {} : { url: {} })
  }
  return {
    ...(sampling === undefined ? {} : { sampling: {} }),
    ...(Object.keys(modes).length === 0 ? {} : { elicitation: modes }),
    ...(roots === undefined ? {} : { roots: rootsChanges === undefined ? {} : { listChanged: true } })
  }
}

/** Registers the handlers that are there. Each run ends with the connection, and when the server cancels its request. */
export const attach = (options: {
  readonly client: Client
  readonly handlers: Handlers
  readonly run: <A, E>(effect: Effect.Effect<A, E>, options: { readonly signal: AbortSignal }) => Promise<A>
}): void => {
  const { client, handlers } = options
  const run = <A>(effect: Effect.Effect<A, RequestRefused>, signal: AbortSignal): Promise<A> =>
    options.run(effect, { signal }).catch((error: unknown) => {
      throw isRefusal(error) ? new ProtocolError(refused, error.description) : error
    })
  const { elicitation, roots, sampling } = handlers
  if (sampling !== undefined) {
    client.setRequestHandler("sampling/createMessage", ({ params }, { mcpReq }) => run(sampling(params), mcpReq.signal))
  }
  if (elicitation?.form !== undefined || elicitation?.url !== undefined) {
    client.setRequestHandler("elicitation/create", ({ params }, { mcpReq }) => {
      const handle = params.mode === "url" ? elicitation.url?.(params) : elicitation.form?.(params)
      // The SDK turns away modes that were not declared before it gets here.
      return handle === undefined ? { action: "cancel" } : run(handle, mcpReq.signal)
    })
  }
  if (roots !== undefined) {
    client.setRequestHandler("roots/list", async (_, { mcpReq }) => ({ roots: [...(await run(roots, mcpReq.signal))] }))
  }
}
