/**
 * Watches the servers of a page: while one is open, they are pinged.
 */
import type { WatchedServer } from "@mcp-sessions/core/HealthWatch"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Backend } from "./backend.ts"

/** How often the servers are pinged. */
const pingInterval = Duration.seconds(5)

/** `HealthWatch.watch` over the sessions of the page. */
export type Watch = (options: {
  readonly servers: ReadonlyArray<string>
  readonly interval: Duration.Duration
  readonly onChange: (change: { readonly row: WatchedServer }) => Effect.Effect<void>
}) => Effect.Effect<never>

export const watchOf = (
  { servers, watch }: { readonly servers: ReadonlyArray<string>; readonly watch: Watch }
): Backend["watch"] =>
(onChange) => watch({ servers, interval: pingInterval, onChange: ({ row }) => Effect.sync(() => onChange(row)) })
