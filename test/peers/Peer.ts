/**
 * A client of MCP servers as the benchmarks and the fault table see it: what all of them can do, each through its public API
 * and in the way that its documentation shows.
 */
import { readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"

export type ServerOf =
  | { readonly kind: "stdio"; readonly command: string; readonly args: ReadonlyArray<string> }
  | { readonly kind: "http"; readonly url: string }
  | { readonly kind: "websocket"; readonly url: string }

export type TransportOf = ServerOf["kind"]

export interface PeerSession {
  /** Rejects if the server was not reached or refused; what a tool itself reports as an error may come either way. */
  readonly call: (
    tool: string,
    args: Record<string, unknown>,
    options?: { readonly signal?: AbortSignal | undefined }
  ) => Promise<unknown>
  /** Gets its tools anew, where tools are bound to the connection that they came over. */
  readonly refresh?: () => Promise<void>
  readonly close: () => Promise<void>
}

/** Sessions with several servers, which one client holds. */
interface PeerSessions {
  readonly call: (server: string, tool: string, args: Record<string, unknown>) => Promise<unknown>
  readonly close: () => Promise<void>
}

export interface Peer {
  readonly name: string
  /** The package that it is from. */
  readonly package: string
  readonly version: string
  readonly transports: ReadonlyArray<TransportOf>
  readonly connect: (server: ServerOf) => Promise<PeerSession>
  /** Connects to all of them, for clients that hold several; resolves when their documentation would go on. */
  readonly connectMany?: (servers: Readonly<Record<string, ServerOf>>) => Promise<PeerSessions>
}

/** What clients call themselves in handshakes where they want to be given a name. */
export const clientInfo = { name: "peer", version: "1.0.0" }

/** The version of a package that is installed. */
export const versionOf = (name: string): string => {
  const manifest = findPackageJSON(name, import.meta.url)
  if (manifest === undefined) throw new Error(`${name} is not installed`)
  return JSON.parse(readFileSync(manifest, "utf8")).version
}

/** For a transport that a client does not claim. */
export const unsupported = (kind: TransportOf): never => {
  throw new Error(`this client has no transport ${kind}`)
}
