/**
 * The place of a node in its cluster.
 */
import type { NodeTls } from "@mcp-sessions/transports/SessionRouter"
import type * as Redacted from "effect/Redacted"

export interface ClusterNode {
  /** The URL of the database. */
  readonly database: Redacted.Redacted
  /** The address to listen on for other nodes. */
  readonly host: string
  /** The port for requests that other nodes hand on. */
  readonly port: number
  /** The port of the runner. */
  readonly runnerPort: number
  /** The host by which other nodes reach this one. */
  readonly advertisedHost: string
  readonly tls: NodeTls | undefined
  /** Whether `host` may be any address without `tls`. */
  readonly insecureNetwork: boolean
}

const inBrackets = (host: string): string => host.includes(":") ? `[${host}]` : host

/** The URL for requests that other nodes hand on. */
export const advertisedUrlOf = ({ advertisedHost, port, tls }: ClusterNode): string =>
  `${tls === undefined ? "http" : "https"}://${inBrackets(advertisedHost)}:${port}/`
