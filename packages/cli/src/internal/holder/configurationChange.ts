/**
 * Detects a change of the configuration that sessions were opened with.
 *
 * Files are looked at for every command, and read again only after one of them has changed: programs write settings of theirs into the same
 * files all the time, which changes no server.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import * as Fs from "node:fs"
import type { Configured, ConfiguredServer } from "../../Configured.ts"
import type { UsageError } from "../../Failure.ts"

const stampOf = (file: string): string => {
  const stats = Fs.statSync(file, { throwIfNoEntry: false })
  return stats === undefined ? "missing" : [stats.ino, stats.size, stats.mtimeMs].join(" ")
}

/** Describes the states of files: a change of one of them changes the text. */
export const stampsOf = (files: ReadonlyArray<string>): string =>
  files.map((file) => {
    try {
      return stampOf(file)
    } catch {
      // A directory on the way may not be searched.
      return "unknown"
    }
  }).join("\n")

const isSuccess = <A, E>(result: Result.Result<A, E>): result is Result.Success<A, E> => result._tag === "Success"

/** Trust that was given meanwhile changes no definition, so the entries are compared as they are written unless both can be used. */
const isSameServer = (a: ConfiguredServer, b: ConfiguredServer | undefined): boolean => {
  if (b === undefined || a.source !== b.source || a.isDisabled !== b.isDisabled) return false
  const [before, after]: ReadonlyArray<Result.Result<ServerConfig, unknown>> = [a.definition, b.definition]
  return before !== undefined && after !== undefined && isSuccess(before) && isSuccess(after)
    ? Equal.equals(before.success, after.success)
    : ExactNumbers.stringify(a.entry?.written ?? null) === ExactNumbers.stringify(b.entry?.written ?? null)
}

const isSame = (a: Configured, b: Configured): boolean => {
  const after = new Map(b.servers.map((server) => [server.name, server]))
  return a.servers.length === b.servers.length && a.ambiguous.size === b.ambiguous.size &&
    a.servers.every((server) => isSameServer(server, after.get(server.name)))
}

/** Remembers a configuration. The returned effect tells whether loading it anew would give the same servers. */
export const watchConfiguration = (options: {
  readonly configured: Configured
  readonly reload: Effect.Effect<Configured, ConfigError | UsageError>
}): Effect.Effect<boolean> => {
  const { configured, reload } = options
  let files = configured.searched
  let stamps = stampsOf(files)
  let isCurrent = true
  const oneAtATime = Semaphore.makeUnsafe(1)
  return Effect.gen(function*() {
    const now = stampsOf(files)
    if (now === stamps) return isCurrent
    const loaded = yield* Effect.option(reload)
    isCurrent = loaded._tag === "Some" && isSame(configured, loaded.value)
    files = loaded._tag === "Some" ? loaded.value.searched : files
    stamps = loaded._tag === "Some" ? stampsOf(files) : now
    return isCurrent
  }).pipe(oneAtATime.withPermits(1))
}
