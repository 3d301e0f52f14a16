/**
 * Port of a consent: its operations, for the service and its implementations.
 */
import type { AuthRequired } from "@mcp-sessions/core/SessionError"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** An owner who is to sign in to a server. */
export interface Request {
  /** The name of the server. */
  readonly server: string
  /** The owner who is to sign in. */
  readonly owner: string
  /** Redirect URLs that the client is registered with, best first. */
  readonly preferred: ReadonlyArray<string>
}

/** A place that an authorization server can redirect to. */
export interface Opened {
  /** The URL that the authorization server redirects the user to. */
  readonly redirectUrl: string
  /** Shows the URL to the user, and waits for the URL that the authorization server redirected to. */
  readonly ask: (url: URL) => Effect.Effect<URL, AuthRequired>
}

/** The operations of a consent. */
export interface Shape {
  /**
   * Prepares to receive one authorization response: chooses the redirect URL, one of `preferred` if it can, and listens if it has to.
   * Closing the scope frees the port.
   */
  readonly open: (request: Request) => Effect.Effect<Opened, AuthRequired, Scope.Scope>
}
