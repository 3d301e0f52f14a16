/**
 * How users consent to a sign-in.
 *
 * @since 0.1.0
 */
import { AuthRequired } from "@mcp-sessions/core/SessionError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

export class Consent extends Context.Service<Consent, {
  readonly open: (request: {
    readonly server: string
    readonly owner: string
    readonly preferred: ReadonlyArray<string>
  }) => Effect.Effect<
    { readonly redirectUrl: string; readonly ask: (url: URL) => Effect.Effect<URL, AuthRequired> },
    AuthRequired,
    Scope.Scope
  >
}>()("@mcp-sessions/transports/Consent") {}

export const layerHeadless: Layer.Layer<Consent> = Layer.succeed(Consent, {
  open: () =>
    Effect.succeed({
      redirectUrl: "http://127.0.0.1:33418/callback",
      ask: (url) => Effect.fail(new AuthRequired({ status: 401, url: url.href }))
    })
})
