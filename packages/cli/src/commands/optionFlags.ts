/**
 * The flags of `serve` that set options of the gateway: problems of the options are shown as problems of the flags.
 */
import type { ConfigError, ConfigProblem } from "@mcp-sessions/core/ConfigError"
import { UsageError } from "../Failure.ts"

/** The flag of each option, by the path of the option. */
const flagOf: ReadonlyMap<string, string> = new Map([
  ["host", "--host"],
  ["port", "--port"],
  ["path", "--path"],
  ["tokens", "--tokens"],
  ["jwt", "--issuer"],
  ["jwt.issuer", "--issuer"],
  ["jwt.audience", "--audience"],
  ["jwt.jwksUri", "--jwks"],
  ["jwt.requiredScopes", "--require-scope"],
  ["publicUrl", "--public-url"],
  ["sessionKey", "--session-key"],
  ["allowedHosts", "--allow-host"],
  ["allowedOrigins", "--allow-origin"],
  ["operators", "--operator"],
  ["include", "--include"],
  ["exclude", "--exclude"],
  ["resources", "--resources"],
  ["cluster.host", "--node-host"],
  ["cluster.port", "--node-port"],
  ["cluster.advertisedUrl", "--advertise"],
  ["cluster.tls", "--node-tls"]
])

/** Describes the problem of an option by its flag. `undefined` for a problem of a server or of a file. */
const describe = (problem: ConfigProblem): string | undefined => {
  const { path: [option, part, ...rest], server, source } = problem
  if (server !== undefined && problem._tag !== "UnknownServer") return undefined
  if (source !== undefined || option === undefined) return undefined
  const own = flagOf.get(`${String(option)}.${String(part)}`)
  const flag = own ?? flagOf.get(String(option))
  if (flag === undefined) return undefined
  const [place] = own === undefined ? [part] : rest
  const where = typeof place === "string" ? `${flag} (${place})` : flag
  return `${where}: ${problem._tag === "InvalidValue" ? `expected ${problem.expected}` : problem.description}`
}

/** Returns the problems of options as problems of their flags. An error that has other problems too stays as it is. */
export const toFlagError = (
  ...[error, hint]: readonly [error: ConfigError, hint?: string]
): ConfigError | UsageError => {
  const [first, ...rest] = error.problems.map(describe)
  const others = rest.filter((problem) => problem !== undefined)
  if (first === undefined || others.length < rest.length) return error
  return new UsageError({ problems: [first, ...others], ...(hint === undefined ? {} : { hint }) })
}
