/**
 * A pool of HTTP connections for one transport, which ends with it.
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
        // Deadlines are set above: a silent stream or a long call does not mean that the connection failed.
        bodyTimeout: 0,
        headersTimeout: 0,
        connect: { timeout: Duration.toMillis(config.connectTimeout), ...dialOptions(config) }
      })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )
