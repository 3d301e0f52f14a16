/**
 * The versions of Node that the command line runs on. Loads nothing, so that it works on any version.
 */

/** The oldest supported version, as in `engines`. */
const oldest = [22, 19] as const

/** Returns what is wrong with a version of Node; `undefined`: it is supported. */
export const unsupportedNode = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > oldest[0] || major === oldest[0] && minor >= oldest[1]
    ? undefined
    : `mcp-sessions needs Node ${oldest.join(".")} or newer, and this is Node ${version}`
}
