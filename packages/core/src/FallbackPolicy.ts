/**
 * Policies of fallback between several servers: the order in which servers are tried, when an ejected server is readmitted, and the
 * error that says how each of them failed.
 *
 * **Details**
 *
 * {@link inOrder} suits a primary with stand-ins; {@link roundRobin} and {@link leastInFlight} balance over replicas. An order is a
 * plain function from {@link Candidate}s to candidates: it may sort them by anything it knows, and a server that it leaves out is
 * not tried.
 *
 * **Example** (Taking turns between replicas)
 *
 * ```ts import.meta.vitest
 * import { FallbackPolicy, Health } from "@mcp-sessions/core"
 *
 * const health = Health.report({ health: Health.unknown, now: 0 })
 * const candidates = ["eu", "us"].map((server) => ({ server, inFlight: 0, health }))
 * const order = FallbackPolicy.roundRobin()
 * order(candidates).map(({ server }) => server) // => ["eu", "us"]
 * order(candidates).map(({ server }) => server) // => ["us", "eu"]
 * ```
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { HealthReport } from "./Health.ts"
import type { RetryPolicy } from "./RetryPolicy.ts"
import type { Session } from "./Session.ts"
import { SessionError } from "./SessionError.ts"

/**
 * When an ejected server is used again.
 *
 * @category models
 * @since 0.1.0
 */
export interface FallbackPolicy {
  /** Consecutive successful probes that readmit an ejected server. Default: 3. */
  readonly goodProbes: number
  /** Time between two probes of an ejected server. After a failed probe the `reconnect` policy decides. Default: 5 seconds. */
  readonly probeInterval: Duration.Input
  /** How often one operation may use an unfit server while all servers are unfit. Default: once in 5 seconds. */
  readonly panicWindow: Duration.Input
}

/**
 * The default policy: 3 successful probes, 5 seconds apart; one operation per 5 seconds while no server is fit.
 *
 * @category defaults
 * @since 0.1.0
 */
export const fallbackDefault: FallbackPolicy = { goodProbes: 3, probeInterval: "5 seconds", panicWindow: "5 seconds" }

/**
 * A server that an {@link Order} may choose.
 *
 * @category models
 * @since 0.1.0
 */
export interface Candidate {
  /** The name of the server. */
  readonly server: string
  /** Requests in flight at the server, of all owners. */
  readonly inFlight: number
  /** The health of the server at this moment. */
  readonly health: HealthReport
}

/**
 * Orders the servers for one operation. A server that the order leaves out is not tried.
 *
 * @category models
 * @since 0.1.0
 */
export type Order = (candidates: ReadonlyArray<Candidate>) => ReadonlyArray<Candidate>

/**
 * Keeps the order in which the servers are listed. The default.
 *
 * @category orders
 * @since 0.1.0
 */
export const inOrder: Order = (candidates) => candidates

/**
 * Makes an order that starts with the next server each time. Make it once and use it for all operations.
 *
 * @category orders
 * @since 0.1.0
 */
export const roundRobin = (): Order => {
  let turn = 0
  return (candidates) => {
    const first = turn++ % candidates.length
    return [...candidates.slice(first), ...candidates.slice(0, first)]
  }
}

/**
 * Makes an order by requests in flight, fewest first, that takes turns between equal servers. Make it once and use it for all
 * operations.
 *
 * @category orders
 * @since 0.1.0
 */
export const leastInFlight = (): Order => {
  const inTurn = roundRobin()
  return (candidates) => inTurn(candidates).toSorted((one, other) => one.inFlight - other.inFlight)
}

/**
 * Options of an operation that any of several servers may run.
 *
 * @category models
 * @since 0.1.0
 */
export interface FallbackOptions {
  /** The servers that may run the operation. A name that is listed twice counts once. */
  readonly servers: NonEmptyReadonlyArray<string>
  /** The owner of the sessions. Default: `Owner.CurrentOwner`. */
  readonly owner?: string | undefined
  /** Which server is tried first. Default: {@link inOrder}. */
  readonly order?: Order | undefined
  /** Retries requests on one server before the operation fails over. Default: no retry. */
  readonly retry?: RetryPolicy | undefined
  /** Starts the operation on the next server too when it takes longer than this. Default: never. */
  readonly hedgeAfter?: Duration.Input | undefined
}

/**
 * Service that holds the session of the current step of `Fallback.plan`.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentSession extends Context.Service<CurrentSession, Session>()(
  "@mcp-sessions/core/FallbackPolicy/CurrentSession"
) {}

/**
 * All servers failed, or were ejected and not tried. `errors` holds one error per server, in the order of the attempts: the failure
 * of the operation on that server, or, for a server that was not tried, its latest failure.
 *
 * @category errors
 * @since 0.1.0
 */
export class AllServersFailed
  extends Schema.TaggedError<AllServersFailed>("@mcp-sessions/core/AllServersFailed")("AllServersFailed", {
    errors: Schema.Array(SessionError)
  })
{
  override get message(): string {
    return `all servers failed:\n${this.errors.map(({ message }) => `- ${message}`).join("\n")}`
  }
}
