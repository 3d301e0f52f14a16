/**
 * A client of MCP servers as the benchmarks and the fault table use it: through its public API, in the way that its documentation
 * shows.
 */
import { readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"

export type ServerOf =
  & { readonly era?: "legacy" | "modern" }
  & (
    | { readonly kind: "stdio"; readonly command: string; readonly args: ReadonlyArray<string> }
    | { readonly kind: "http"; readonly url: string }
    | { readonly kind: "websocket"; readonly url: string }
  )

export type TransportOf = ServerOf["kind"]

type Args = Record<string, unknown>

export interface PeerSession {
  /** Rejects if the server was not reached or refused; a tool's own error may come either way. */
  readonly call: (tool: string, args: Args, options?: { readonly signal?: AbortSignal | undefined }) => Promise<unknown>
  /** Lists its tools again, where tools are bound to the connection that listed them. */
  readonly refresh?: () => Promise<void>
  readonly close: () => Promise<unknown>
}

/** Sessions with several servers in one client. */
interface PeerSessions {
  readonly call: (server: string, tool: string, args: Args) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export interface Peer {
  readonly name: string
  readonly package: string
  readonly version: string
  readonly transports: ReadonlyArray<TransportOf>
  /** Set for clients that speak the revision 2026-07-28. */
  readonly isModern?: boolean
  readonly connect: (server: ServerOf) => Promise<PeerSession>
  /** Connects to all of them, for clients that hold several; resolves when their documentation would go on. */
  readonly connectMany?: (servers: Readonly<Record<string, ServerOf>>) => Promise<PeerSessions>
}

/** The name that clients give themselves in handshakes where they need one. */
export const clientInfo = { name: "peer", version: "1.0.0" }

/** The version of a package that is installed. */
export const versionOf = (name: string): string => {
  const manifest = findPackageJSON(name, import.meta.url)
  if (manifest === undefined) throw new Error(`${name} is not installed`)
  return JSON.parse(readFileSync(manifest, "utf8")).version
}

/** For a transport that a client does not have. */
export const unsupported = (kind: TransportOf): never => {
  throw new Error(`this client has no transport ${kind}`)
}
