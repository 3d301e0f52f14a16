/**
 * Sealed router: a session id holds what any process needs to make the session, so any process with the same key takes any request. Nothing
 * connects the processes.
 *
 * Each process has its own sessions at the servers, and knows only which of its own sessions were ended. Servers cannot ask clients, because the answer may arrive at another process.
 */
import * as Effect from "effect/Effect"
import * as Crypto from "node:crypto"
import { isRequest } from "../gateway/call/dispatcher.ts"
import type { Clients } from "../gateway/client/clients.ts"
import type { ClientSession } from "../gateway/client/clientSession.ts"
import type { NamedSession, Router, SessionLocation, SessionParts } from "../gateway/client/sessionLocation.ts"
import { settled } from "../gateway/http/defects.ts"
import { answerEmpty, answerFailure } from "../gateway/http/http.ts"
import type { RpcError } from "../gateway/protocol/rpc.ts"
import type { Fork } from "../scopedFork.ts"
import type { EndedSessions } from "./endedSessions.ts"
import { refuseSession } from "./refusals.ts"
import type { Tickets } from "./ticket.ts"

export class SealedRouter implements Router {
  readonly hasOwners = false
  readonly #clients: Clients
  readonly #tickets: Tickets
  readonly #ended: EndedSessions
  readonly #fork: Fork

  constructor({ clients, ended, fork, tickets }: {
    readonly clients: Clients
    readonly ended: EndedSessions
    readonly tickets: Tickets
    readonly fork: Fork
  }) {
    this.#clients = clients
    this.#tickets = tickets
    this.#ended = ended
    this.#fork = fork
  }

  open(parts: SessionParts): Effect.Effect<string | undefined> {
    const session: NamedSession = { ...parts, capabilities: {}, name: Crypto.randomUUID() }
    return Effect.map(
      this.#clients.getOrMake(session),
      (client) => client === undefined ? undefined : this.#tickets.seal(session)
    )
  }

  find(id: string, principal: string): SessionLocation | undefined {
    const session = this.#tickets.open(id, principal)
    if (session === undefined || this.#ended.has(session.name)) return undefined
    return this.#clients.get(session.name) ?? {
      use: (exchange, here) => {
        // There is nothing to end here, so nothing is made, and no limit applies.
        if (exchange.request.method === "DELETE") {
          this.#ended.end(session.name)
          answerEmpty(exchange.response, 200)
          return exchange.onEnd()
        }
        const onFailure = (error: RpcError) => {
          exchange.onEnd()
          answerFailure(exchange.response, error, exchange.messages.find(isRequest)?.id)
        }
        settled({ fork: this.#fork, doing: "make a session", onFailure }, {
          effect: this.#clients.getOrMake(session),
          onValue: (client) => {
            if (client !== undefined) return here(client, exchange)
            refuseSession(exchange.response, "limited", exchange.messages)
            exchange.onEnd()
          }
        })
      }
    }
  }

  modern(parts: SessionParts): Effect.Effect<SessionLocation | undefined> {
    return this.#clients.modern({ ...parts, capabilities: {} })
  }

  close(client: ClientSession): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#ended.end(client.name)
      return this.#clients.close(client)
    })
  }
}
