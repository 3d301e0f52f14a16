/**
 * A pipe of bytes between a client and a gateway, which notes what goes through it.
 */
import { once } from "node:events"
import { createServer, request } from "node:http"

export interface Wire {
  readonly url: string
  /** The revisions of requests, as their headers say. */
  readonly revisions: ReadonlySet<string>
  /** The sessions that began, and those that their client ended. */
  readonly sessions: { readonly begun: ReadonlySet<string>; readonly ended: ReadonlySet<string> }
  /** Responses other than 2xx, such as `GET 405`. */
  readonly refusals: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

/** Listens on loopback, and passes everything on to a URL. */
export const openWire = async (to: string): Promise<Wire> => {
  const revisions = new Set<string>()
  const sessions = { begun: new Set<string>(), ended: new Set<string>() }
  const refusals: Array<string> = []
  const { host, pathname } = new URL(to)
  const server = createServer((incoming, outgoing) => {
    const { headers, method, url } = incoming
    const revision = headers["mcp-protocol-version"]
    const sent = request(new URL(url ?? pathname, to), { method, headers: { ...headers, host } }, (response) => {
      const { headers: received, statusCode = 0 } = response
      const session = received["mcp-session-id"]
      if (typeof session === "string") sessions.begun.add(session)
      if (method === "DELETE" && statusCode < 300) sessions.ended.add(String(headers["mcp-session-id"]))
      if (statusCode >= 300) refusals.push(`${method} ${statusCode}`)
      else if (typeof revision === "string") revisions.add(revision)
      outgoing.writeHead(statusCode, received)
      response.pipe(outgoing)
      response.once("error", () => outgoing.destroy())
    })
    sent.once("error", () => outgoing.destroy())
    outgoing.once("close", () => sent.destroy())
    incoming.pipe(sent)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}${pathname}`,
    revisions,
    sessions,
    refusals,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
