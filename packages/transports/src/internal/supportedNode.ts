/**
 * Fails on a version of Node that the packages do not run on, in one sentence. Without this module, an old Node shows as an error somewhere
 * in a dependency.
 */
import process from "node:process"

/** The oldest supported version, as in `engines`. */
const oldest = [22, 19] as const

/** Returns what is wrong with a version of Node; `undefined`: it is supported. */
export const unsupportedNode = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > oldest[0] || major === oldest[0] && minor >= oldest[1]
    ? undefined
    : `mcp-sessions needs Node ${oldest.join(".")} or newer, and this is Node ${version}`
}

// Bun and Deno name the version of Node that they are compatible with.
const problem = unsupportedNode(process.versions.node)
if (problem !== undefined) {
  const error = new Error(problem)
  error.name = "UnsupportedNode"
  // The frames are those of the loader.
  error.stack = `${error.name}: ${problem}`
  throw error
}
