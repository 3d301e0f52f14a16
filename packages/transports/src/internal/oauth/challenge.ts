/**
 * Reads `WWW-Authenticate`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1 several challenges, in one header or in several
 * @see https://www.rfc-editor.org/rfc/rfc9728#section-5.1
 */

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

/** Schemes whose parameters are about OAuth. Servers may offer others beside them. */
const schemes = new Set(["bearer", "dpop"])

/** A parameter with its value, quoted or not, or the name of a scheme. */
const part = /([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/g

/** The parameters of all challenges whose scheme is about OAuth. Of parameters with the same name, the first counts. */
const parametersIn = (wwwAuthenticate: string): ReadonlyMap<string, string> => {
  const parameters = new Map<string, string>()
  let isOurs = false
  for (const [, name = "", quoted, plain] of wwwAuthenticate.matchAll(part)) {
    const key = name.toLowerCase()
    const value = quoted?.replaceAll(/\\(.)/g, "$1") ?? plain
    if (value === undefined) isOurs = schemes.has(key)
    else if (isOurs && value !== "" && !parameters.has(key)) parameters.set(key, value)
  }
  return parameters
}

export const readChallenge = (wwwAuthenticate: string | undefined): Told => {
  const isRead = wwwAuthenticate !== undefined && wwwAuthenticate.length <= limit
  const parameters = parametersIn(isRead ? wwwAuthenticate : "")
  const url = parameters.get("resource_metadata")
  return {
    metadataUrl: url !== undefined && URL.canParse(url) ? new URL(url).href : undefined,
    scope: parameters.get("scope"),
    error: parameters.get("error")
  }
}
