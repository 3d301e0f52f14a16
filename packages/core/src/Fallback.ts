/**
 * Several servers for one purpose: in an order of preference, or as replicas that share the load.
 *
 * `Sessions.withFallback` runs an operation on a session of the first server that is fit for it, and where that fails, on one of
 * the next. `Sessions.fallbackPlan` is the same as an `ExecutionPlan`. `order` decides which comes first: {@link inOrder} for a primary and its
 * stand-ins, {@link roundRobin} and {@link leastInFlight} for replicas.
 *
 * **Details**
 *
 * The delivery rule decides whether the next server may be tried. What was never sent, what was refused, and reads may move on. A
 * tool that may have run does not move on, nor does an operation of which any tool has run, unless that is known to be idempotent;
 * what a server answers is the answer. Each server is tried once, for it is the next one that is wanted and not the same one
 * again; `retry` tries longer.
 *
 * A server with more than 3 failures (`Health.maxErrors`) in a row or within a minute, or whose circuit is open, is passed over from
 * then on. In the background it is asked for signs of life, and when it has given `goodProbes` of them in a row it is back in its
 * place. One that is passed over again within 5 minutes of that has to give twice as many, up to 16 times: so one that comes and
 * goes does not take the traffic with it each time. One that has not been heard of for 5 minutes (`Health.staleAfter`) is
 * asked for a sign of life before it is used.
 *
 * When none is left that is fit, the one with the fewest failures is tried all the same, once per `panicWindow`; until then
 * operations fail at once. {@link AllServersFailed} holds an error of each server.
 *
 * With `hedge`, an operation that takes longer than that is begun on the next server too, the first to succeed gives the result, and
 * the other is cancelled. Each such beginning costs a retry of the server's budget. A tool that is not known to be idempotent runs on one of them: the first that comes to
 * it goes on alone.
 *
 * **Example** (Reading from whichever server is there)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: {
 *     primary: { transport: "stdio", command: "not-installed", args: [] },
 *     secondary: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] }
 *   }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.flatMap(Sessions.Sessions, ({ withFallback }) =>
 *   withFallback({ servers: ["primary", "secondary"] }, (session) => session.callTool("get-sum", { a: 2, b: 3 })))
 * const { content } = await Effect.runPromise(Effect.provide(program, live))
 * content // => [{ type: "text", text: "The sum of 2 and 3 is 5." }]
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
 * When a server that was passed over is used again. `goodProbes` signs of life in a row, `probeInterval` apart, bring it back; after
 * one that fails, the `reconnect` policy of the sessions says when to ask again. `panicWindow` is how often one is tried all the
 * same when none is fit.
 *
 * @category models
 * @since 0.1.0
 */
export interface FallbackPolicy {
  readonly goodProbes: number
  readonly probeInterval: Duration.Input
  readonly panicWindow: Duration.Input
}

/**
 * The default: 3 signs of life, 5 seconds apart; a try every 5 seconds when no server is fit.
 *
 * @category defaults
 * @since 0.1.0
 */
export const fallbackDefault: FallbackPolicy = { goodProbes: 3, probeInterval: "5 seconds", panicWindow: "5 seconds" }

/**
 * A server that might be used. `inFlight` is how many requests are under way at it, of all owners.
 *
 * @category models
 * @since 0.1.0
 */
export interface Candidate {
  readonly server: string
  readonly inFlight: number
  readonly health: HealthReport
}

/**
 * In which order servers are tried. What it leaves out is not tried.
 *
 * @category models
 * @since 0.1.0
 */
export type Order = (candidates: ReadonlyArray<Candidate>) => ReadonlyArray<Candidate>

/**
 * The order in which they are named: the default.
 *
 * @category orders
 * @since 0.1.0
 */
export const inOrder: Order = (candidates) => candidates

/**
 * Makes an order in which each server is the first in turn. To be made once and used for all operations.
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
 * Makes an order by the number of requests that are under way, the fewest first, and in turn where they have the same. To be made once
 * and used for all operations.
 *
 * @category orders
 * @since 0.1.0
 */
export const leastInFlight = (): Order => {
  const inTurn = roundRobin()
  return (candidates) => inTurn(candidates).toSorted((one, other) => one.inFlight - other.inFlight)
}

/**
 * Options of an operation that may be done by any of several servers. `retry` is when a request is tried again at one server before
 * the next; default: not at all. `hedge` is after how long the next server is asked too; default: it is not. `owner`: as everywhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface FallbackOptions {
  readonly servers: NonEmptyReadonlyArray<string>
  readonly owner?: string | undefined
  readonly order?: Order | undefined
  readonly retry?: RetryPolicy | undefined
  readonly hedge?: Duration.Input | undefined
}

/**
 * Service that is the session which a step of `Sessions.fallbackPlan` provides.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentSession extends Context.Service<CurrentSession, Session>()(
  "@mcp-sessions/core/Fallback/CurrentSession"
) {}

/**
 * None of the servers did it. `errors` has one of each that was to be tried, in that order: how the operation failed there, or, of one
 * that was passed over, its latest failure.
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
    return `no server could be used:\n${this.errors.map(({ message }) => `- ${message}`).join("\n")}`
  }
}
