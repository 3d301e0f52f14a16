/**
 * One session of the promise facade: its interface, and the options of its calls.
 *
 * **Example** (Validating the result of a call with a Standard Schema)
 *
 * ```ts import.meta.vitest
 * import { McpSessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Schema } from "effect"
 *
 * // Or a schema of Zod, Valibot or ArkType.
 * const Weather = Schema.toStandardSchemaV1(Schema.Struct({ temperature: Schema.Finite }))
 *
 * await using sessions = McpSessions.make({
 *   transports: Transports.layer,
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * })
 * await using session = await sessions.get("everything")
 * const { temperature } = await session.callTool("get-structured-content", { location: "New York" }, { schema: Weather })
 * temperature // => 33
 * ```
 *
 * @since 0.1.0
 */
import type { Plain, Promised, SignalOptions } from "./internal/facade/promised.ts"
import type { Closeable } from "./internal/facade/promiseRuntime.ts"
import type { StandardCallOptions } from "./internal/facade/standardResult.ts"
import type { CallToolResult } from "./Mcp.ts"
import type { CallToolOptions, Session } from "./Session.ts"
import type { OwnerOptions } from "./Sessions.ts"

export type { StandardCallOptions }

/**
 * A tool call in promises. With a `schema`, gives the validated structured content of the result. `Place` are the parameters before the name
 * of the tool, `More` are more options.
 *
 * @category models
 * @since 0.1.0
 */
export interface PromisedCall<Place extends ReadonlyArray<string>, More extends object> {
  <A>(
    ...args: [
      ...place: Place,
      tool: string,
      args: Record<string, unknown> | undefined,
      options: StandardCallOptions<A> & More
    ]
  ): Promise<A>
  (
    ...args: [
      ...place: Place,
      tool: string,
      args?: Record<string, unknown>,
      options?: Plain<CallToolOptions> & SignalOptions & More
    ]
  ): Promise<CallToolResult>
}

/**
 * A {@link Session} in promises. Closing it releases it.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpSession extends Omit<Promised<Session>, "callTool">, Closeable {
  /** Calls a tool; with a `schema`, gives the validated structured content of the result. */
  readonly callTool: PromisedCall<[], object>
}

/**
 * A connected session whose handshake the caller runs. Closing it closes the connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpUninitializedSession extends Closeable {
  /** The name of the server. */
  readonly server: string
  /** Runs the handshake. The session is valid until the uninitialized one is closed. */
  readonly initialize: (options?: SignalOptions) => Promise<McpSession>
}

/**
 * Options of a session with a connection of its own. `handshake: "manual"` gives an {@link McpUninitializedSession}; default:
 * `automatic`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenSessionOptions<Handshake extends "automatic" | "manual"> extends OwnerOptions, SignalOptions {
  /** Whether the caller makes the handshake. Default: `"automatic"`. */
  readonly handshake?: Handshake | undefined
}
