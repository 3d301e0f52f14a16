/**
 * Where a connection leads to: host, port, and whether it is encrypted.
 */

export interface Destination {
  /** A name without a final dot, or an address without brackets, in lower case. */
  readonly host: string
  readonly port: number
  /** Whether the connection is one of TLS. */
  readonly isSecure: boolean
}

/** Returns where a URL leads to. */
export const destinationOf = (
  { hostname, port, protocol }: Pick<URL, "hostname" | "port" | "protocol">
): Destination => {
  const isSecure = protocol === "https:" || protocol === "wss:"
  const host = hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase()
  return {
    host: host.length > 1 && host.endsWith(".") ? host.slice(0, -1) : host,
    port: port === "" ? isSecure ? 443 : 80 : Number(port),
    isSecure
  }
}

/** Returns host and port as they are written in a URL and in a request to a proxy. */
export const authorityOf = ({ host, port }: Pick<Destination, "host" | "port">): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`
