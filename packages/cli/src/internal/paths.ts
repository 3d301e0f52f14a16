/**
 * Directories of a user for the files of this program.
 */
import { isAbsolute, join } from "node:path"

type Environment = Readonly<Record<string, string | undefined>>

const below = (environment: Environment, variable: string, fallback: ReadonlyArray<string>): string => {
  const base = environment[variable]
  if (base !== undefined && isAbsolute(base)) return base
  return join(environment.HOME ?? environment.USERPROFILE ?? "", ...fallback)
}

/** A path for files that can be made again. */
export const cachePath = (environment: Environment, name: string): string =>
  join(below(environment, "XDG_CACHE_HOME", [".cache"]), "mcp-sessions", name)
