/**
 * Connections of a transport's own, which end with it.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Agent } from "undici"
import { dialOptions } from "./addressPolicy.ts"

/** Makes an agent that is destroyed with the scope. */
export const acquireAgent = (
  config: Pick<Exclude<ServerConfig, { readonly transport: "stdio" }>, "addresses" | "connectTimeout">
): Effect.Effect<Agent, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Agent({
        // Deadlines are set above; a quiet stream and a long call are no faults of the connection.
        bodyTimeout: 0,
        headersTimeout: 0,
        connect: { timeout: Duration.toMillis(config.connectTimeout), ...dialOptions(config) }
      })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )
