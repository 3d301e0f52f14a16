/**
 * Redirect URLs on this machine: which port to listen on, and what counts as an authorization response.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8252#section-7.3
 */
import { createHash } from "node:crypto"

/** A place to listen on. Port 0 is any free port. */
export interface Candidate {
  readonly port: number
  /** The redirect URL for a port. */
  readonly urlOf: (port: number) => string
}

/** Below the ports that systems give to outgoing connections, which would be taken at random. */
const firstPort = 20_000
const portCount = 12_000

/** Derives a port from the name of a server, so that the redirect URL stays as it was registered. */
export const portOf = (server: string): number =>
  firstPort + createHash("sha256").update(server).digest().readUInt32BE(0) % portCount

/** Whether a redirect URL leads to the address of the listener, 127.0.0.1. */
const leadsToListener = (url: URL): boolean =>
  url.protocol === "http:" && (url.hostname === "127.0.0.1" || url.hostname === "localhost")

/**
 * Lists where to listen, best first: the ports of the preferred URLs that lead to this machine, the chosen port or that of the server, and
 * any free port. The path stays that of the preferred URLs.
 */
export const candidatesOf = (options: {
  readonly server: string
  readonly preferred: ReadonlyArray<string>
  readonly port: number | undefined
}): ReadonlyArray<Candidate> => {
  const { port, preferred, server } = options
  const usable = preferred.flatMap((text) => {
    const url = URL.parse(text)
    return url !== null && leadsToListener(url) ? [{ text, url }] : []
  })
  const path = usable[0]?.url.pathname ?? "/callback"
  const urlOf = (port: number) => `http://127.0.0.1:${port}${path}`
  return [
    ...usable.flatMap(({ text, url }) => url.port === "" ? [] : [{ port: Number(url.port), urlOf: () => text }]),
    { port: port ?? portOf(server), urlOf },
    { port: 0, urlOf }
  ]
}

/** Whether a URL carries an authorization response: a code or an error, and the state that ties it to a request. */
export const isResponse = ({ searchParams }: URL): boolean =>
  searchParams.has("state") && (searchParams.has("code") || searchParams.has("error"))

/** Whether a URL is that of a redirect, aside from its parameters. */
export const isAt = (url: URL, redirectUrl: URL): boolean =>
  url.origin === redirectUrl.origin && url.pathname === redirectUrl.pathname
