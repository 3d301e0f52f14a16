/**
 * Backend of a gateway. The form of the page is a client of its principal: the same limits, audit records and delivery rule apply to its calls.
 */
import * as Effect from "effect/Effect"
import type { Quotas } from "../gateway/admission/quotas.ts"
import type { Dispatcher } from "../gateway/call/dispatcher.ts"
import { methodOf } from "../gateway/call/methods.ts"
import type { Catalog } from "../gateway/catalog/catalog.ts"
import { interrupt, makeCall } from "../gateway/client/clientCall.ts"
import type { Clients } from "../gateway/client/clients.ts"
import type { ClientSession } from "../gateway/client/clientSession.ts"
import { RpcError, tooManyRequests, tooManySessions } from "../gateway/protocol/rpc.ts"
import type { Backend, Client } from "./backend.ts"

const protocolVersion = "2025-11-25"

/** An error of the gateway itself, before it sent a request to a server. */
const refused = ({ code, message }: Pick<RpcError, "code" | "message">): RpcError =>
  new RpcError({ code, message, data: { reason: `JSON-RPC ${code}`, delivery: "NotSent" } })

export interface GatewayBackendOptions extends Omit<Backend, "call" | "clients" | "tools"> {
  readonly catalog: Catalog
  readonly clients: Clients
  readonly dispatcher: Dispatcher
  readonly quotas: Quotas
  /** The sessions of the gateway itself, by their owners. */
  readonly ownClients: ReadonlyArray<Client>
}

/** The reply to a call of the form. It receives no messages before the response. */
const reply = { related: () => false, settle: () => {} }

export const gatewayBackend = (
  { catalog, clients, dispatcher, ownClients, quotas, ...rest }: GatewayBackendOptions
): Backend => {
  /** The clients of the forms by principal. */
  const forms = new Map<string, ClientSession>()
  let lastCall = 0

  const clientOf = (principal: string): Effect.Effect<ClientSession, RpcError> =>
    Effect.suspend(() => {
      const known = forms.get(principal)
      if (known !== undefined && clients.get(known.name) === known) return Effect.succeed(known)
      return Effect.flatMap(clients.make({ principal, capabilities: {}, protocolVersion }), (made) => {
        if (made === undefined) return Effect.fail(refused(tooManySessions))
        for (const [name, form] of forms) if (clients.get(form.name) !== form) forms.delete(name)
        forms.set(principal, made)
        return Effect.succeed(made)
      })
    })

  const run = (client: ClientSession, tool: string, args: Record<string, unknown>): Effect.Effect<unknown, RpcError> =>
    Effect.callback((resume) => {
      const call = makeCall({ id: `page-${++lastCall}`, progressToken: undefined, reply })
      const method = "tools/call"
      const params = { name: tool, arguments: args }
      const handle = methodOf(client, method)
      if (handle === undefined) return resume(Effect.die(`${method} has no handler`))
      client.calls.set(call.id, call)
      dispatcher.start({
        client,
        call,
        method,
        params,
        handle,
        onEnd: (exit) => {
          client.calls.delete(call.id)
          resume(call.server === undefined ? Effect.mapError(exit, refused) : exit)
        }
      })
      return Effect.sync(() => interrupt(call))
    })

  return {
    ...rest,
    clients: () => [
      ...Array.from(clients, (client): Client => ({
        owner: client.owner,
        principal: client.principal,
        label: forms.get(client.principal) === client
          ? "this page"
          : `${client.name.slice(0, 8)} · ${client.protocolVersion}`,
        inFlight: client.calls.size
      })),
      ...ownClients
    ],
    tools: (principal, server) =>
      Effect.sync(() => {
        const { offer } = forms.get(principal)?.lists ?? catalog
        return offer.tools.filter(({ name }) => offer.tool(name)?.server === server)
      }),
    call: ({ args, principal, tool }) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          const place = quotas.begin(principal)
          return place === undefined ? Effect.fail(refused(tooManyRequests)) : Effect.succeed(place)
        }),
        () => Effect.flatMap(clientOf(principal), (client) => run(client, tool, args)),
        (place) => Effect.sync(place.end)
      )
  }
}
