/**
 * Session locations: where the session of a client is. A session of this process is its own location. A router gives locations of sessions on
 * other nodes, which hand requests on to these.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import type * as Effect from "effect/Effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { ClientOptions, ClientSession } from "./clientSession.ts"

/** A request of a client that was admitted and read. */
export interface Exchange {
  readonly principal: string
  readonly request: Pick<IncomingMessage, "headers" | "method">
  readonly response: ServerResponse
  /** The body, and the messages in it. Empty for a request without a body. */
  readonly text: string
  readonly messages: ReadonlyArray<JSONRPCMessage>
  /** Called once the exchange is over that another node has answered. */
  readonly onEnd: () => void
}

/** Where a session is. */
export interface SessionLocation {
  /** Handles an exchange with the session, or hands it to the node that has the session. */
  use(exchange: Exchange, here: (client: ClientSession, exchange: Exchange) => void): void
}

/** What a session is made of. */
export type SessionParts = Pick<ClientOptions, "capabilities" | "principal" | "protocolVersion">

/** A session by name, with the data to make it. */
export interface NamedSession extends SessionParts {
  readonly name: string
}

/** Decides where sessions are. */
export interface Router {
  /** Makes a session, and returns the id that its client knows it by; `undefined` if there are too many. */
  open(parts: SessionParts): Effect.Effect<string | undefined>
  /** Finds a session by the id that its client sends; `undefined` for an id that is not one of the principal. */
  find(id: string, principal: string): SessionLocation | undefined
  /**
   * Finds the session that stands for the clients of a principal which have none of their own and can do the same; `undefined` if there are too
   * many. With `isAnywhere`, any node may handle the request. `owner` is the session that has to, if it is known.
   */
  modern(parts: SessionParts, options: {
    readonly isAnywhere: boolean
    readonly owner: NamedSession | undefined
  }): Effect.Effect<SessionLocation | undefined>
  /** Whether all requests of a session reach one process. */
  readonly hasOwners: boolean
  /** Ends a session that is here. Its id is not known afterwards. */
  close(client: ClientSession): Effect.Effect<void>
}
