/**
 * Port through which core signs owners in and out of servers. The `OAuth` module of `@mcp-sessions/transports` provides it.
 *
 * **Details**
 *
 * A connect or a request that a server refuses with `AuthRequired` waits for `signIn` and is made once more. Without this service, or if
 * nobody can be asked, it fails with `AuthRequired`.
 *
 * **Example** (Asking whether an owner is signed in)
 *
 * ```ts import.meta.vitest
 * import { Authorization, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * // A program with tokens of its own provides the service. `OAuth.layer` of the transports package is the usual one.
 * const signedIn = new Set()
 * const authorization = Layer.succeed(Authorization.Authorization, {
 *   signIn: ({ owner }) => Effect.sync(() => signedIn.add(owner)),
 *   signOut: ({ owner }) => Effect.sync(() => signedIn.delete(owner)),
 *   state: ({ owner }) => Effect.sync(() => ({ _tag: signedIn.has(owner) ? "SignedIn" : "SignedOut" }))
 * })
 * const live = Sessions.layer({ servers: { files: { url: "https://files.example/mcp" } } }).pipe(
 *   Layer.provide(Layer.merge(Transports.layer, authorization))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   yield* sessions.signIn("files", { owner: "ada" })
 *   const ada = yield* sessions.signInState("files", { owner: "ada" })
 *   const bob = yield* sessions.signInState("files", { owner: "bob" })
 *   return [ada._tag, bob._tag]
 * })
 * await Effect.runPromise(Effect.provide(program, live)) // => ["SignedIn", "SignedOut"]
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ServerDefinition } from "./ServerConfig.ts"
import type { AuthorizationFailed, AuthRequired } from "./SessionError.ts"

/**
 * An owner at a server.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignInRequest {
  /** The owner to sign in. */
  readonly owner: string
  /** The definition of the server, whose `auth` says which grant is used. */
  readonly definition: ServerDefinition
  /** The refusal that calls for a sign-in; `undefined` if the program asks for one. */
  readonly refusal?: AuthRequired | undefined
}

/**
 * Whether an owner is signed in to a server.
 *
 * - `NotNeeded`: the server has not asked for a sign-in, as far as is known.
 * - `SignedOut`: the server asks for a sign-in, and there is no token that it would accept.
 * - `SigningIn`: a sign-in is in progress. `url` is the page that the user is to visit, once it is known.
 * - `SignedIn`: there is a token. `expiresAt` is in milliseconds since the epoch, if the server said so; `isRenewable`: a new token can be
 *   had without the user.
 *
 * @category models
 * @since 0.1.0
 */
export type SignInState =
  | { readonly _tag: "NotNeeded" }
  | { readonly _tag: "SignedOut" }
  | { readonly _tag: "SigningIn"; readonly url: string | undefined }
  | {
    readonly _tag: "SignedIn"
    readonly issuer: string
    readonly scope: string | undefined
    readonly expiresAt: number | undefined
    readonly isRenewable: boolean
  }

/**
 * Service that signs owners in to servers, and out.
 *
 * @category services
 * @since 0.1.0
 */
export class Authorization extends Context.Service<Authorization, {
  /**
   * Signs an owner in, which may ask a user and take minutes. Concurrent sign-ins of one owner at one server are one. Fails with
   * `AuthRequired` if nobody can be asked or the sign-in was refused, and with `AuthorizationFailed` if the authorization server failed.
   */
  readonly signIn: (request: SignInRequest) => Effect.Effect<void, AuthRequired | AuthorizationFailed>
  /** Forgets the tokens of an owner, and revokes them where the server offers that. */
  readonly signOut: (request: SignInRequest) => Effect.Effect<void, AuthorizationFailed>
  /** Reads whether an owner is signed in. Sends nothing. */
  readonly state: (request: SignInRequest) => Effect.Effect<SignInState>
}>()("@mcp-sessions/core/Authorization") {}
