/**
 * The note of `serve` on what it serves.
 */
import type { Sessions } from "@mcp-sessions/core/Sessions"
import * as Effect from "effect/Effect"
import { line, type Shown } from "../Shown.ts"

/** Describes which servers are in use, and which ones the gateway tries again. */
export const announcement = Effect.fnUntraced(function*(
  { status }: Sessions["Service"],
  names: ReadonlyArray<string>
) {
  const all = yield* Effect.forEach(names, (name) => Effect.map(status(name), ({ health }) => ({ name, health })))
  const served = all.filter(({ health }) => health.isHealthy).map(({ name }) => name)
  const waiting = names.filter((name) => !served.includes(name))
  const serving: ReadonlyArray<Shown> = served.length === 0 ? [] : [line`serving ${served.join(", ")}`]
  const missing: ReadonlyArray<Shown> = waiting.length === 0 ? [] : [line`waiting for ${waiting.join(", ")}`]
  const [first, second] = [...serving, ...missing]
  if (first === undefined) return line`press Ctrl+C to stop`
  return second === undefined ? line`${first}; press Ctrl+C to stop` : line`${first}; ${second}; press Ctrl+C to stop`
})
