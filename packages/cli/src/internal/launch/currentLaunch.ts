/**
 * The launch of this process, as the parts of a command see it.
 */
import type { Host } from "@mcp-sessions/core/Host"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Takes part in the launch of a call. */
export interface CurrentLaunch {
  /** Notes what a command finds on the machine. */
  readonly observe: (host: Host["Service"]) => Host["Service"]
  /** Keeps this launch from being remembered: it depends on more than what was found. */
  readonly refuse: () => void
}

/** Reference to the launch of this process. Default: `undefined`, for commands that run within another one. */
export const CurrentLaunch: Context.Reference<CurrentLaunch | undefined> = Context.Reference<
  CurrentLaunch | undefined
>("@mcp-sessions/cli/internal/launch/CurrentLaunch", { defaultValue: () => undefined })

/** Keeps the launch of this process from being remembered. */
export const refuseMemo: Effect.Effect<void> = Effect.map(CurrentLaunch, (launch) => launch?.refuse())
