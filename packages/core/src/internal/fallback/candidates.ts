/**
 * Candidates of one operation: which servers are fit, in which order they are tried, and why one is not tried. All decisions here are
 * pure.
 */
import type * as Clock from "effect/Clock"
import { type Candidate, inOrder, type Order } from "../../FallbackPolicy.ts"
import * as Health from "../../Health.ts"
import { forOthers, ServerDown, SessionError } from "../../SessionError.ts"
import type { FallbackServer } from "./fallbackPort.ts"

/** A fit server, and the servers that come after it. */
export interface Found {
  readonly server: FallbackServer
  readonly rest: ReadonlyArray<FallbackServer>
}

/** Whether operations use a server: it is not ejected, its recent requests did not fail, and its circuit is closed. */
export const isFit = ({ state, outliers }: FallbackServer): boolean =>
  !outliers.isEjected() && state.health.errorCount <= Health.maxErrors && !state.circuitBreaker.isOpen()

/** Finds the first fit server. */
export const nextFit = (servers: ReadonlyArray<FallbackServer>): Found | undefined => {
  const index = servers.findIndex(isFit)
  const server = servers[index]
  return server === undefined ? undefined : { server, rest: servers.slice(index + 1) }
}

/** Finds the server with the fewest failures in a row: the one that panic mode uses. */
export const fewestFailures = (servers: ReadonlyArray<FallbackServer>): FallbackServer | undefined =>
  servers.toSorted((one, other) => one.state.health.errorCount - other.state.health.errorCount)[0]

const candidateOf = ({ state, server }: FallbackServer, clock: Clock.Clock): Candidate => ({
  server,
  inFlight: state.bulkhead.used,
  health: state.report(clock)
})

/** Puts servers in the order in which they are tried. */
export const arrange = (options: {
  readonly servers: ReadonlyArray<FallbackServer>
  readonly order: Order
  readonly clock: Clock.Clock
}): ReadonlyArray<FallbackServer> => {
  const { clock, order, servers } = options
  if (order === inOrder) return servers
  const byName = new Map(servers.map((server) => [server.server, server]))
  return order(servers.map((server) => candidateOf(server, clock))).flatMap(({ server }) => byName.get(server) ?? [])
}

/**
 * The error of a server that was not tried: its latest failure. Another owner's failure is stripped of what the processes of that
 * owner wrote.
 */
export const notTried = (options: {
  readonly server: FallbackServer
  readonly owner: string
  /** The time of day, for display. */
  readonly now: number
}): SessionError => {
  const { now, owner, server: { state, outliers, server } } = options
  const last = outliers.lastFailure()
  if (last?.owner === owner) return last.error
  const known = last?.error ?? state.health.lastError
  const reason = known === undefined ? undefined : forOthers(known.reason)
  return new SessionError({ server, reason: reason ?? new ServerDown({ retryAt: now }) })
}
