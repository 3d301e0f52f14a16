/**
 * A client of MCP servers as the benchmarks and the fault table use it: through its public API, in the way that its documentation
 * shows.
 */
export type ServerOf =
  /** The legacy era unless it says otherwise. */
  & { readonly era?: "modern" }
  & (
    | { readonly kind: "stdio"; readonly command: string; readonly args: ReadonlyArray<string> }
    | { readonly kind: "http" | "websocket"; readonly url: string }
  )

export interface ComparedSession {
  /** Rejects if the server was not reached or refused; a tool's own error may come either way. */
  readonly call: (tool: string, args: Record<string, unknown>, signal?: AbortSignal) => Promise<unknown>
  /** Lists its tools again, where tools are bound to the connection that listed them. */
  readonly refresh?: () => Promise<void>
  readonly close: () => Promise<unknown>
}

export interface ComparedClient {
  readonly connect: (server: ServerOf) => Promise<ComparedSession>
  /** Connects to all servers, for clients that hold several, and gives the session with one of them. */
  readonly connectMany?: (servers: Readonly<Record<string, ServerOf>>, name: string) => Promise<ComparedSession>
}

/** The name that clients give themselves in handshakes where they need one. */
export const clientInfo = { name: "compared-client", version: "1.0.0" }
