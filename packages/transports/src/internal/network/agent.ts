/**
 * Pools of HTTP connections for one transport, which end with it.
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Agent } from "undici"
import { dialOptions } from "./addressPolicy.ts"

/** How many connections there may be beside those for requests in flight: for replies, notifications and responses that linger. */
const spareConnections = 128

/** The pools of one transport: streams that stay open have their own, so that they never take the place of a request. */
export interface Agents {
  readonly dispatcher: Agent
  readonly streams: Agent
}

/** Makes agents that are destroyed with the scope. */
export const acquireAgents = (
  config: Pick<
    Exclude<ServerConfig, { readonly transport: "stdio" }>,
    "addresses" | "connectTimeout" | "maxInFlightTotal"
  >
): Effect.Effect<Agents, never, Scope.Scope> => {
  const options = {
    // Deadlines are set above: a silent stream or a long call does not mean that the connection failed.
    bodyTimeout: 0,
    headersTimeout: 0,
    connect: { timeout: Duration.toMillis(config.connectTimeout), ...dialOptions(config) }
  }
  return Effect.acquireRelease(
    Effect.sync(() => ({
      dispatcher: new Agent({ ...options, connections: config.maxInFlightTotal + spareConnections }),
      streams: new Agent(options)
    })),
    ({ dispatcher, streams }) => Effect.promise(() => Promise.all([dispatcher.destroy(), streams.destroy()]))
  )
}
