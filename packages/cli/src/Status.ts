/**
 * State of held sessions: read from the sessions, without asking a server.
 *
 * @since 0.1.0
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as Health from "@mcp-sessions/core/Health"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { envelope, lines } from "./FailureText.ts"
import type { Held, Holder } from "./HeldSessions.ts"
import { countOf } from "./internal/text.ts"
import { join, line, name as shownName, type Shown } from "./Shown.ts"
import { columns } from "./Table.ts"

/**
 * State of one held session. Times of day are in milliseconds since the epoch, ages in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly name: string
  readonly source: string
  readonly transport: string
  /** The state of the connection: `ready`, `connecting`, `backoff`, `down`, … */
  readonly state: string
  readonly isHealthy: boolean
  readonly lastChecked: number | undefined
  /** When the server counts as unhealthy if it has not responded by then. */
  readonly staleAfter: number | undefined
  readonly errorCount: number
  readonly lastError: SessionError | undefined
  readonly circuit: "closed" | "open" | "half-open" | "ejected"
  readonly inFlight: number
  /** The age of the connection; `undefined` while there is no connection. */
  readonly uptime: number | undefined
  /** How many connections there were before the current one. */
  readonly restarts: number
}

/**
 * Reads the state of one held session.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function*(
  { configured, holder, sessions }: Held,
  server: string
): Effect.fn.Return<Row, ConfigError> {
  const { circuit, connections, health, inFlight } = yield* sessions.status(server)
  const definition = configured.servers.find(({ name }) => name === server)
  const { age, generation } = yield* holder.connection(server)
  const { errorCount, isHealthy, lastChecked, lastError } = health
  return {
    name: server,
    source: definition?.source ?? "",
    transport: definition?.transport ?? "",
    state: (connections[0]?.state._tag ?? "Idle").toLowerCase(),
    isHealthy,
    lastChecked,
    staleAfter: lastChecked === undefined ? undefined : lastChecked + Duration.toMillis(Health.staleAfter),
    errorCount,
    lastError,
    circuit: circuit.state,
    inFlight,
    uptime: age,
    restarts: Math.max(0, generation - 1)
  }
})

/**
 * Converts the state of a holder and its sessions to the JSON that `status --json` prints.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toJson = (
  ...[holder, rows]: readonly [holder: Holder, rows: ReadonlyArray<Row>]
): Effect.Effect<Record<string, unknown>> =>
  Effect.map(holder.uptime, (uptimeMs) => ({
    schema: "mcp-sessions/1",
    holder: { command: holder.command, project: holder.project, pid: holder.pid, uptimeMs },
    servers: rows.map(({ lastChecked, lastError, staleAfter, uptime, ...row }) => ({
      ...row,
      lastChecked: lastChecked ?? null,
      staleAfter: staleAfter ?? null,
      uptimeMs: uptime ?? null,
      lastError: lastError === undefined ? null : envelope(lastError)
    }))
  }))

const units = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000]] as const

/** Formats an age by its two largest units, such as `2h 5m`. */
const spellAge = (millis: number): string => {
  const start = units.findIndex(([, size]) => millis >= size)
  if (start === -1) return "0s"
  let rest = millis
  return units.slice(start, start + 2).map(([unit, size]) => {
    const count = Math.floor(rest / size)
    rest -= count * size
    return `${count}${unit}`
  }).join(" ")
}

const headings = ["", "server", "state", "up", "restarts", "in flight", "circuit", "last error"]

/**
 * Formats the state of a holder and its sessions as a table.
 *
 * @category rendering
 * @since 0.1.0
 */
export const table = (
  ...[holder, rows]: readonly [holder: Holder, rows: ReadonlyArray<Row>]
): Effect.Effect<ReadonlyArray<Shown>> =>
  Effect.map(holder.uptime, (uptime) => [
    line`${holder.command} holds ${countOf(holder.servers.length, "session")} for ${holder.project} since ${
      spellAge(uptime)
    }`,
    ...columns([
      headings.map(shownName),
      ...rows.map((row) => [
        shownName(row.isHealthy ? "✓" : "✗"),
        shownName(row.name),
        shownName(row.state),
        shownName(row.uptime === undefined ? "–" : spellAge(row.uptime)),
        shownName(String(row.restarts)),
        shownName(String(row.inFlight)),
        shownName(row.circuit),
        row.lastError === undefined ? join([], "") : lines(row.lastError)[0] ?? join([], "")
      ])
    ])
  ])
