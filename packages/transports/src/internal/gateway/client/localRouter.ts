/**
 * Local router: all sessions are in this process. Their ids are sealed, so that only their principals can use them.
 */
import * as Effect from "effect/Effect"
import type { SealedIds } from "../protocol/sealedIds.ts"
import type { Clients } from "./clients.ts"
import type { ClientSession } from "./clientSession.ts"
import type { Router, SessionLocation, SessionParts } from "./sessionLocation.ts"

export class LocalRouter implements Router {
  readonly hasOwners = true
  readonly #clients: Clients
  readonly #ids: SealedIds
  readonly #route: string

  /** `route` is the path of the endpoint. Session ids are bound to it. */
  constructor({ clients, ids, route }: { readonly clients: Clients; readonly ids: SealedIds; readonly route: string }) {
    this.#clients = clients
    this.#ids = ids
    this.#route = route
  }

  open(parts: SessionParts): Effect.Effect<string | undefined> {
    return Effect.map(
      this.#clients.make(parts),
      (client) => client && this.#ids.seal(client.name, { principal: parts.principal, route: this.#route })
    )
  }

  find(id: string, principal: string): SessionLocation | undefined {
    const name = this.#ids.open(id, { principal, route: this.#route })
    return name === undefined ? undefined : this.#clients.get(name)
  }

  modern(parts: SessionParts): Effect.Effect<SessionLocation | undefined> {
    return this.#clients.modern(parts)
  }

  close(client: ClientSession): Effect.Effect<void> {
    return this.#clients.close(client)
  }
}
