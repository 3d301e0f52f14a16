/**
 * A service that signs in as itself, with OAuth client credentials. Nobody is asked; tokens are renewed before they end.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Mcp, Sessions } from "@mcp-sessions/core"
import { Consent, OAuth, TokenStore } from "@mcp-sessions/transports"
import { Console, Effect, Layer } from "effect"
import * as Guarded from "./servers/guarded.ts"

export const program = Effect.gen(function*() {
  const url = yield* Guarded.start // in a program: the URL of a server that exists
  const live = Sessions.layer({
    servers: {
      reports: { url, auth: { grant: "client_credentials", clientId: "robot", clientSecret: "robot-secret" } }
    }
  }).pipe(
    Layer.provide(OAuth.layer()),
    Layer.provide([TokenStore.layerMemory, Consent.layerHeadless])
  )
  return yield* Effect.gen(function*() {
    const { callTool, signInState } = yield* Sessions.Sessions
    const report = Mcp.text(yield* callTool("reports", "latest"))
    return { report, state: (yield* signInState("reports"))._tag }
  }).pipe(Effect.provide(live))
}).pipe(Effect.scoped)

if (import.meta.main) NodeRuntime.runMain(Effect.flatMap(program, Console.log))
