/**
 * Keeps the compiled code of this program between its runs. Loads nothing but Node.
 */
import { statSync } from "node:fs"
import { enableCompileCache } from "node:module"
import { join } from "node:path"
import process from "node:process"

const { env, platform } = process

/** The directory for caches of this user. */
const cacheDirectory = (): string | undefined => {
  if (platform === "win32") return env.LOCALAPPDATA
  if (env.XDG_CACHE_HOME?.startsWith("/") === true) return env.XDG_CACHE_HOME
  if (env.HOME?.startsWith("/") !== true) return undefined
  return join(env.HOME, platform === "darwin" ? "Library/Caches" : ".cache")
}

/** Whether a directory, or the nearest parent that exists, belongs to this user. Compiled code of others must not run. */
const isOwn = (directory: string): boolean => {
  const stats = statSync(directory, { throwIfNoEntry: false })
  return stats === undefined ? isOwn(join(directory, "..")) : stats.uid === process.getuid?.()
}

/** Returns the cache directory of this program, or `undefined` if it cannot be made or another user owns it. */
export const ownCacheDirectory = (): string | undefined => {
  const directory = cacheDirectory()
  return directory !== undefined && (platform === "win32" || isOwn(directory))
    ? join(directory, "mcp-sessions")
    : undefined
}

/**
 * Has modules that are loaded from here on compiled once for all runs, in a directory of this user. Node falls back to compiling them where
 * the directory cannot be used.
 */
export const keepCompiledCode = (): void => {
  const directory = ownCacheDirectory()
  if (directory !== undefined) enableCompileCache(directory)
}
