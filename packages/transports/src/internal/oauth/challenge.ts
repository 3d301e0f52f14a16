/**
 * Reads `WWW-Authenticate`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9728#section-5.1
 */
import { extractWWWAuthenticateParams } from "@modelcontextprotocol/client"

/** What a server says with a refusal. */
export interface Told {
  /** The URL of the metadata of the resource. */
  readonly metadataUrl: string | undefined
  /** The scopes that the request needs, separated by spaces. */
  readonly scope: string | undefined
  /** The error code, such as `invalid_token` or `insufficient_scope`. */
  readonly error: string | undefined
}

/** Longer headers are not read. */
const limit = 8192

export const readChallenge = (wwwAuthenticate: string | undefined): Told => {
  if (wwwAuthenticate === undefined || wwwAuthenticate.length > limit) {
    return { metadataUrl: undefined, scope: undefined, error: undefined }
  }
  const headers = new Headers({ "www-authenticate": wwwAuthenticate })
  const { error, resourceMetadataUrl, scope } = extractWWWAuthenticateParams(new Response(null, { headers }))
  return { metadataUrl: resourceMetadataUrl?.href, scope, error }
}
