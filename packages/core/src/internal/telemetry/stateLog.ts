/**
 * Logs of state changes: structured, one for each change.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import type { SessionError } from "../../SessionError.ts"
import { attributes as names, logs } from "../../Telemetry.ts"
import { errorAttributes } from "./attributes.ts"

/** An owner as logs show it: programs may name owners after people. */
const ownerHash = (owner: string): string => (Hash.string(owner) >>> 0).toString(16).padStart(8, "0")

/** Logs a change. Does nothing where such logs are not wanted. */
export const logChange = (options: {
  readonly context: Context.Context<never>
  readonly change: keyof typeof logs
  readonly server: string
  readonly owner?: string
  readonly generation?: number
  readonly error?: SessionError | undefined
}): void => {
  const { change, context, error, generation, owner, server } = options
  if (LogLevel.isGreaterThan(Context.get(context, References.MinimumLogLevel), "Debug")) return
  const annotations = {
    [names.server.name]: server,
    ...(owner === undefined ? {} : { [names.owner.name]: ownerHash(owner) }),
    ...(generation === undefined ? {} : { [names.generation.name]: generation }),
    ...(error === undefined ? {} : { ...errorAttributes(error.reason), "error.message": error.reason.message })
  }
  Effect.runForkWith(context)(Effect.annotateLogs(Effect.logDebug(logs[change].message), annotations))
}
