/**
 * Metadata of the gateway as a protected resource: which authorization servers issue tokens for it.
 *
 * It is public, and web pages of any origin may read it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9728
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#authorization-server-location
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { answerJson } from "./http.ts"

export const wellKnownPath = "/.well-known/oauth-protected-resource"

/** The path of the metadata of a resource: the well-known one, followed by that of the resource (RFC 9728, section 3.1). */
const pathFor = (path: string): string => path === "/" ? wellKnownPath : wellKnownPath + path

export class ResourceMetadata {
  /** The identifier of the gateway as a resource (RFC 8707): the URL that clients use. */
  readonly resource: string
  readonly #body: string

  constructor({ issuers, resource, scopes }: {
    readonly resource: string
    readonly issuers: ReadonlyArray<string>
    readonly scopes: ReadonlyArray<string>
  }) {
    this.resource = resource
    this.#body = JSON.stringify({
      resource,
      authorization_servers: issuers,
      ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
      bearer_methods_supported: ["header"]
    })
  }

  /** The URL of the metadata, as clients reach it. */
  get url(): string {
    const { origin, pathname } = new URL(this.resource)
    return origin + pathFor(pathname)
  }

  /** The paths that answer with the metadata, for an endpoint at a path. That of the resource may differ, behind a proxy. */
  pathsFor(path: string): ReadonlyArray<string> {
    return [...new Set([wellKnownPath, pathFor(path), pathFor(new URL(this.resource).pathname)])]
  }

  /** Answers a request for the metadata. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader("access-control-allow-origin", "*")
    switch (request.method) {
      case "GET":
      case "HEAD":
        response.setHeader("cache-control", "public, max-age=300")
        return answerJson(response, { status: 200, body: this.#body })
      case "OPTIONS":
        response.writeHead(204, {
          "access-control-allow-methods": "GET, HEAD",
          "access-control-allow-headers": "accept, content-type, mcp-protocol-version",
          "access-control-max-age": "600"
        }).end()
        return
      default:
        response.writeHead(405, { allow: "GET, HEAD, OPTIONS" }).end()
    }
  }
}
