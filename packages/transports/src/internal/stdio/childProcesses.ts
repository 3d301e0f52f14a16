/**
 * Starts processes of this machine as effects.
 */
import { SpawnFailed } from "@mcp-sessions/core/SessionError"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import process from "node:process"
import type { Processes, ProcessOptions } from "../../Processes.ts"
import { type Child, startChild } from "./processGroup.ts"

const isPosix = process.platform !== "win32"

/** Whether a file exists. One that may not be looked at counts as existing: the system knows better. */
const exists = (file: string): boolean => {
  try {
    return Fs.statSync(file, { throwIfNoEntry: false }) !== undefined
  } catch {
    return true
  }
}

const isFolder = (path: string): boolean => Fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/**
 * The failure to start what does not exist: found by looking, which costs far less than a start that fails. A command that exists may still fail
 * to start.
 */
const findMissing = (options: {
  readonly command: string
  readonly cwd: string | undefined
  readonly path: string | undefined
}): SpawnFailed | undefined => {
  const { command, cwd, path } = options
  if (!isPosix) return undefined
  if (cwd !== undefined && !isFolder(cwd)) return new SpawnFailed({ command, code: "ENOENT", cwd })
  const from = cwd ?? process.cwd()
  // An absolute folder needs no resolution, which costs as much as the look at the file.
  const at = (folder: string) => folder.startsWith("/") ? `${folder}/${command}` : Path.resolve(from, folder, command)
  const folders = command.includes("/") ? [""] : path?.split(":")
  const isFound = folders?.some((folder) => exists(at(folder))) ?? true
  return isFound ? undefined : new SpawnFailed({ command, code: "ENOENT" })
}

const start = (options: ProcessOptions): Effect.Effect<Child, SpawnFailed> =>
  Effect.callback((resume) => {
    startChild(options, (started) => {
      if (!(started instanceof Error)) return resume(Effect.succeed(started))
      const { command, cwd } = options
      const code = "code" in started && typeof started.code === "string" ? started.code : started.name
      // The system reports ENOENT for a missing working directory, too.
      const isMisplaced = cwd !== undefined && !isFolder(cwd)
      resume(Effect.fail(new SpawnFailed({ command, code, cwd: isMisplaced ? cwd : undefined, cause: started })))
    })
  })

/** Starts processes of this machine, and ends the group of each with its scope. */
export const childProcesses: Processes = {
  prepare: ({ command, cwd, env }) =>
    Effect.suspend(() => findMissing({ command, cwd, path: env.PATH }) ?? Effect.void),
  start: (options) => Effect.acquireRelease(start(options), (child) => Effect.promise(() => child.close()))
}
