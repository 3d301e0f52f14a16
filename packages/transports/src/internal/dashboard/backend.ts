/**
 * Backend: the data and the actions of the page. A gateway and a holder of sessions each provide one.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { ConnectionState } from "@mcp-sessions/core/ConnectionState"
import type { WatchedServer } from "@mcp-sessions/core/HealthWatch"
import type { Tool } from "@mcp-sessions/core/Mcp"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import type * as Effect from "effect/Effect"
import type { RpcError } from "../gateway/protocol/rpc.ts"
import type { CallView } from "./views.ts"

export type Failure = SessionError | ConfigError

/** The status of a server, as `Sessions.status` gives it. */
export interface Status {
  readonly circuit: { readonly state: "closed" | "open" | "half-open" | "ejected" }
  readonly inFlight: number
  readonly connections: ReadonlyArray<{
    readonly owner: string
    readonly state: ConnectionState
    readonly inFlight: number
    readonly signIn: { readonly _tag: string; readonly url?: string | undefined }
  }>
}

/** A client of the sessions, identified by their owner. */
export interface Client {
  readonly owner: string
  /** The principal of the client; `undefined` for sessions of the process itself. */
  readonly principal: string | undefined
  readonly label: string
  readonly inFlight: number
}

/** A call that has ended. */
export type Call = Omit<CallView, "age">

export interface Backend {
  /** The title of the page. */
  readonly title: string
  /** Whether a principal may see and do everything. Other principals see their own sessions, calls and errors, and call tools. */
  readonly isOperator: (principal: string) => boolean
  readonly servers: ReadonlyArray<string>
  /** Pings the servers, and reports each change, for as long as it runs. */
  readonly watch: (onChange: (row: WatchedServer) => void) => Effect.Effect<never>
  readonly status: (server: string) => Effect.Effect<Status, ConfigError>
  readonly clients: () => Iterable<Client>
  readonly restart: (server: string) => Effect.Effect<void, ConfigError>
  readonly eject: (server: string) => Effect.Effect<void, ConfigError>
  readonly readmit: (server: string) => Effect.Effect<void, ConfigError>
  /** Signs in to a server, which may take minutes. */
  readonly signIn: (server: string) => Effect.Effect<void, Failure>
  /** The tools of a server that a principal may call. */
  readonly tools: (principal: string, server: string) => Effect.Effect<ReadonlyArray<Tool>, Failure>
  /** Calls a tool by its name at the server. Interruption cancels the call. */
  readonly call: (options: {
    readonly principal: string
    readonly server: string
    readonly tool: string
    readonly args: Record<string, unknown>
  }) => Effect.Effect<unknown, RpcError>
}
