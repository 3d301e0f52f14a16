/**
 * The machine that Node runs on.
 */
import type { Host } from "@mcp-sessions/core/Host"
import * as Effect from "effect/Effect"
import { promises as fs } from "node:fs"
import { homedir } from "node:os"
import { dirname, resolve } from "node:path"
import process, { env } from "node:process"
import { parseEnv } from "node:util"
import { readFile } from "./readFile.ts"
import { isTrusted, trust } from "./trustRecord.ts"

const texts = (variables: NodeJS.Dict<string>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(variables).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]))

/** The directory may have been removed while the process is in it. */
const workingDirectory = (): string => {
  try {
    return process.cwd()
  } catch {
    return resolve("/", env.PWD ?? "")
  }
}

/** The home directory that the variables name, else that of the user of the process. */
const homeOf = (environment: Readonly<Record<string, string | undefined>>): string | undefined => {
  const named = environment[process.platform === "win32" ? "USERPROFILE" : "HOME"]
  if (named !== undefined && named !== "") return named
  const home = homedir()
  return home === "" ? undefined : home
}

/** Makes the service. */
export const make = (options?: {
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
  readonly workingDirectory?: string | undefined
}): Host["Service"] => {
  const environment = options?.environment ?? env
  return {
    environment,
    get workingDirectory() {
      return options?.workingDirectory ?? workingDirectory()
    },
    homeDirectory: homeOf(environment),
    platform: process.platform,
    readFile,
    exists: (path) => Effect.promise(() => fs.access(path).then(() => true, () => false)),
    resolve: (base, path) => resolve(base, path),
    parent: dirname,
    parseEnv: (text) => texts(parseEnv(text)),
    isTrusted,
    trust
  }
}
