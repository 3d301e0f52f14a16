/**
 * Types of the tools of servers, for sessions whose `callTool` knows them: `Session.typed`, `Sessions.typed` and `McpSessions.typed`.
 *
 * **Details**
 *
 * The command `mcp-sessions emit-ts` prints such types from the schemas of a server. They exist for the compiler alone: a typed session is the
 * session itself. A result of the type holds because every structured result is checked against the output schema of its tool.
 *
 * **Gotchas**
 *
 * The types are those of the day they were printed. Arguments are not checked again at run time: the server does that.
 *
 * **Example** (Typing the tools of a server)
 *
 * ```ts import.meta.vitest
 * import { Session } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect } from "effect"
 *
 * interface EverythingTools {
 *   readonly "get-structured-content": {
 *     readonly args: { readonly location: "New York" | "Chicago" | "Los Angeles" }
 *     readonly result: { readonly temperature: number; readonly conditions: string; readonly humidity: number }
 *   }
 * }
 *
 * const program = Effect.gen(function*() {
 *   const untyped = yield* Session.make({ transport: "stdio", command: "mcp-server-everything", args: ["stdio"] })
 *   const session = Session.typed<EverythingTools>(untyped)
 *   const result = yield* session.callTool("get-structured-content", { location: "Chicago" })
 *   return result.isError === true ? undefined : result.structuredContent.humidity
 * }).pipe(Effect.scoped, Effect.provide(Transports.layer))
 *
 * const humidity = await Effect.runPromise(program)
 * typeof humidity // => "number"
 * ```
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "./ConfigError.ts"
import type { Plain, SignalOptions } from "./internal/facade/promised.ts"
import type { CallToolResult } from "./Mcp.ts"
import type { McpSession, McpSessions } from "./McpSessions.ts"
import type { CallToolOptions, Session } from "./Session.ts"
import type { SessionError } from "./SessionError.ts"
import type { OwnerOptions, Sessions } from "./Sessions.ts"

/**
 * Types of one tool: its arguments, and its structured result if it has an output schema.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolType {
  /** The type of the arguments. */
  readonly args: object
  /** The type of the structured result. Absent for a tool without an output schema. */
  readonly result?: unknown
}

/**
 * The tools of one server, by name. Interfaces are welcome.
 *
 * @category models
 * @since 0.1.0
 */
export type ToolMap<Tools> = { readonly [Tool in keyof Tools]: ToolType }

/**
 * The tools of several servers, by the name of the server.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerMap<Servers> = { readonly [Server in keyof Servers]: ToolMap<Servers[Server]> }

/**
 * The result of a tool. If the tool did not fail, its structured content has the type of the output schema.
 *
 * @category models
 * @since 0.1.0
 */
export type TypedResult<Tool> = Tool extends { readonly result: infer Result } ?
    & CallToolResult
    & ({ readonly isError: true } | { readonly isError?: false | undefined; readonly structuredContent: Result })
  : CallToolResult

type ArgsOf<Tool> = Tool extends { readonly args: infer Args } ? Args : never

/** The arguments may be left out if the tool requires none. */
type RestOf<Tool, Options> = {} extends ArgsOf<Tool> ? [args?: ArgsOf<Tool>, options?: Options]
  : [args: ArgsOf<Tool>, options?: Options]

type NoOptions<Tool> = {} extends ArgsOf<Tool> ? [args?: ArgsOf<Tool>] : [args: ArgsOf<Tool>]

/**
 * Calls tools of known types.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedCall<Tools> {
  <Tool extends keyof Tools & string>(
    tool: Tool,
    ...rest: NoOptions<Tools[Tool]>
  ): Effect.Effect<TypedResult<Tools[Tool]>, SessionError>
  <Tool extends keyof Tools & string>(
    tool: Tool,
    ...rest: RestOf<Tools[Tool], CallToolOptions>
  ): Effect.Effect<TypedResult<Tools[Tool]>, SessionError | ConfigError>
}

/**
 * A session whose tools have types.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedSession<Tools> extends Omit<Session, "callTool"> {
  /** Calls a tool, with its types. */
  readonly callTool: TypedCall<Tools>
}

type TypedMembers = "callTool" | "get" | "open" | "use"

/**
 * Sessions of servers whose tools have types.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedSessions<Servers> extends Omit<Sessions["Service"], TypedMembers> {
  /** Gives a connected session for as long as the scope, shared with other callers of the same owner. */
  readonly get: <Server extends keyof Servers & string>(
    server: Server,
    options?: OwnerOptions
  ) => Effect.Effect<TypedSession<Servers[Server]>, SessionError | ConfigError, Scope.Scope>
  /** Opens a session with a connection of its own, which closes with the scope. */
  readonly open: <Server extends keyof Servers & string>(
    server: Server,
    options?: OwnerOptions & { readonly handshake?: "automatic" | undefined }
  ) => Effect.Effect<TypedSession<Servers[Server]>, SessionError | ConfigError, Scope.Scope>
  /** Uses a shared session for as long as `f` runs. */
  readonly use: <Server extends keyof Servers & string, A, E, R>(
    server: Server,
    f: (session: TypedSession<Servers[Server]>) => Effect.Effect<A, E, R>,
    options?: OwnerOptions
  ) => Effect.Effect<A, E | SessionError | ConfigError, R>
  /** Calls a tool on a shared session, with its types. */
  readonly callTool: <Server extends keyof Servers & string, Tool extends keyof Servers[Server] & string>(
    server: Server,
    tool: Tool,
    ...rest: RestOf<Servers[Server][Tool], CallToolOptions & OwnerOptions>
  ) => Effect.Effect<TypedResult<Servers[Server][Tool]>, SessionError | ConfigError>
}

/**
 * A session in promises whose tools have types.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedMcpSession<Tools> extends Omit<McpSession, "callTool"> {
  /** Calls a tool, with its types. */
  readonly callTool: <Tool extends keyof Tools & string>(
    tool: Tool,
    ...rest: RestOf<Tools[Tool], Plain<CallToolOptions> & SignalOptions>
  ) => Promise<TypedResult<Tools[Tool]>>
}

/**
 * Sessions in promises of servers whose tools have types.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedMcpSessions<Servers> extends Omit<McpSessions, "callTool" | "get" | "open"> {
  /** Takes a session that is shared with other callers of its owner. It is valid until it is closed. */
  readonly get: <Server extends keyof Servers & string>(
    server: Server,
    options?: OwnerOptions & SignalOptions
  ) => Promise<TypedMcpSession<Servers[Server]>>
  /** Opens a session with a connection of its own. */
  readonly open: <Server extends keyof Servers & string>(
    server: Server,
    options?: OwnerOptions & SignalOptions & { readonly handshake?: "automatic" | undefined }
  ) => Promise<TypedMcpSession<Servers[Server]>>
  /** Calls a tool on a shared session, with its types. */
  readonly callTool: <Server extends keyof Servers & string, Tool extends keyof Servers[Server] & string>(
    server: Server,
    tool: Tool,
    ...rest: RestOf<Servers[Server][Tool], Plain<CallToolOptions & OwnerOptions> & SignalOptions>
  ) => Promise<TypedResult<Servers[Server][Tool]>>
}
