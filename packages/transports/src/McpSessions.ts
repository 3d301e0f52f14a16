/**
 * Sessions of named MCP servers for plain TypeScript: all that a program without Effect needs.
 *
 * {@link open} takes server definitions, client handlers and retries as plain values and async functions, and brings all transports of
 * this package. Every operation returns a promise, takes an `AbortSignal`, and rejects with a typed error.
 *
 * **Details**
 *
 * A rejection is a `SessionError`, whose `reason` says what happened and whose `delivery` says how far the request got, or a
 * `ConfigError`, which holds all problems of the configuration. An aborted signal cancels the request on the server and rejects with
 * the reason `Cancelled`. A tool call whose outcome is unknown rejects with the reason `OutcomeUnknown` and is not sent again.
 *
 * **Example** (Calling a tool)
 *
 * ```ts import.meta.vitest
 * import { isSessionError, McpSessions, text } from "@mcp-sessions/transports"
 *
 * const sessions = McpSessions.open({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } },
 *   handlers: { elicitation: async () => ({ action: "decline" }) },
 *   retry: { times: 3, delay: 1000 }
 * })
 * let said = ""
 * try {
 *   said = text(await sessions.callTool("everything", "echo", { message: "hi" }))
 * } catch (error) {
 *   if (isSessionError(error) && error.reason._tag === "OutcomeUnknown") said = "it may have run"
 * } finally {
 *   await sessions.close()
 * }
 * said // => "Echo: hi"
 * ```
 *
 * **Example** (Holding a session)
 *
 * ```ts import.meta.vitest
 * import { McpSessions } from "@mcp-sessions/transports"
 *
 * await using sessions = McpSessions.open({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * })
 * await using everything = await sessions.get("everything")
 * const tools = await everything.listTools({ timeout: "5 seconds" })
 * tools.some(({ name }) => name === "get-sum") // => true
 * ```
 *
 * @since 0.1.0
 */
import { ConfigError, InvalidValue } from "@mcp-sessions/core/ConfigError"
import type { Host } from "@mcp-sessions/core/Host"
import {
  type FileOptions as CoreFileOptions,
  fromFile as makeFromFile,
  make,
  type McpSessions,
  type Options as CoreOptions
} from "@mcp-sessions/core/McpSessions"
import type { Transports as TransportsOf } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { McpAuthorization } from "./McpAuthorization.ts"
import * as Transports from "./Transports.ts"

export { RequestRefused } from "@mcp-sessions/core/ClientHandlers"
export { images, parts, structured, text } from "@mcp-sessions/core/Mcp"
export { isConfigError, isSessionError, isToolError, typed } from "@mcp-sessions/core/McpSessions"
export type {
  McpPool,
  McpSession,
  McpSessions,
  McpTools,
  McpUninitializedSession,
  PlainCredentials,
  PlainHandlers,
  PlainInterceptor,
  PlainOrigin,
  PlainTelemetry,
  PoolOptions,
  RetryOptions,
  SignalOptions,
  StandardCallOptions,
  TimeSpan,
  ToolsOptions
} from "@mcp-sessions/core/McpSessions"
export { CallDenied, ToolError } from "@mcp-sessions/core/ToolError"

/** What sessions over all transports of this package take beside the options of core. */
interface Authorized {
  /** How owners are signed in, made by `McpAuthorization.make`. Default: nobody is, and a server that asks for it fails with `AuthRequired`. */
  readonly authorization?: McpAuthorization | undefined
}

/**
 * Options of sessions of named servers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends CoreOptions, Authorized {}

/**
 * Options of sessions of configuration files.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions extends CoreFileOptions, Authorized {}

const transportsOf = (
  authorization: McpAuthorization | undefined
): Layer.Layer<TransportsOf | Host, ConfigError> => {
  if (authorization === undefined) return Transports.layer
  // Without types, it may be anything.
  const layer: unknown = (authorization as McpAuthorization | null)?.layer
  if (Layer.isLayer(layer)) return authorization.layer
  const problem = new InvalidValue({ path: ["authorization"], expected: "what McpAuthorization.make returns" })
  return Layer.effectContext(Effect.fail(new ConfigError({ problems: [problem] })))
}

/**
 * Opens sessions of named servers over all transports of this package. The first use checks the configuration; each server is connected
 * by the first call that needs it. Close them to end every connection, process and server-side session.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = ({ authorization, ...options }: Options): McpSessions =>
  make({ ...options, transports: transportsOf(authorization) })

/**
 * Opens sessions of the servers of configuration files: of one file, of several, or without a name of all files of the project and of the user
 * that `ConfigFile.load` finds. Rejects where a file that you name cannot be read or parsed.
 *
 * **Example** (Using the file of an editor)
 *
 * ```ts import.meta.vitest
 * import { McpSessions } from "@mcp-sessions/transports"
 * import { mkdtempSync, writeFileSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const file = join(mkdtempSync(join(tmpdir(), "config-")), ".mcp.json")
 * writeFileSync(file, `{ "mcpServers": { "bad": { "comand": "server" }, "far": { "url": "https://example.com/mcp" } } }`)
 *
 * await using sessions = await McpSessions.fromFile(file)
 * for (const { server, error } of sessions.problems) console.warn(server, error.message)
 * sessions.names // => ["bad", "far"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFile = (file?: string | FileOptions): Promise<McpSessions> => {
  const { authorization, ...options }: FileOptions = typeof file === "string" ? { files: [file] } : file ?? {}
  return makeFromFile({ ...options, transports: transportsOf(authorization) })
}
