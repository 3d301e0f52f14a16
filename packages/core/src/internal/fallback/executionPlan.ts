/**
 * Execution plan: the servers of fallback as steps of an `ExecutionPlan`, each of which provides a session.
 */
import type { NonEmptyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionPlan from "effect/ExecutionPlan"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "../../ConfigError.ts"
import { CurrentSession, type FallbackOptions } from "../../FallbackPolicy.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type { SessionError } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { close, CurrentLedgers, isTagged, mayFailOver, open, tagError, type ToolLedger } from "../request/toolLedger.ts"
import { fewestFailures, isFit, notTried } from "./candidates.ts"
import { findAll } from "./failover.ts"
import type { Failure, FallbackPort, FallbackServer } from "./fallbackPort.ts"
import { openFresh } from "./openSession.ts"
import { ejectUnfit, recordFailure } from "./outlierReports.ts"
import { usingUnfit } from "./panicMode.ts"

export type PlanOptions = Pick<FallbackOptions, "owner" | "retry" | "servers">

export type Plan = ExecutionPlan.ExecutionPlan<{
  provides: CurrentSession
  input: unknown
  error: Failure
  requirements: never
}>

/** What the steps of one plan share. */
interface Shared {
  readonly port: FallbackPort
  readonly owner: string
  readonly retry: RetryPolicy.RetryPolicy
  readonly servers: ReadonlyArray<FallbackServer>
  /** Tags the errors of servers that were not tried. They fail over and count for nothing. */
  readonly skipped: ToolLedger
  /** The ledgers of all attempts by this plan. */
  readonly own: WeakSet<ToolLedger>
}

/** Makes a plan that tries the servers in the order in which they are listed. */
export const make = (parts: {
  readonly port: FallbackPort
  readonly options: PlanOptions
}): Effect.Effect<Plan, ConfigError> => {
  const { options: { owner = "default", retry = RetryPolicy.never, servers }, port } = parts
  return Effect.map(findAll({ port, servers }), (servers) => {
    const skipped = open()
    const shared: Shared = { port, owner, retry, servers, skipped, own: new WeakSet([skipped]) }
    const steps = servers.map((server, index) => ({
      provide: Layer.fresh(Layer.effectContext(provideSession(shared, server))),
      while: (error: unknown) => failOver(shared, servers[index - 1], error)
    }))
    return ExecutionPlan.make(...steps as NonEmptyArray<(typeof steps)[number]>)
  })
}

/** Opens the session of a step, whose tool calls are recorded in a ledger of this attempt. */
const provideSession = Effect.fnUntraced(function*(
  shared: Shared,
  server: FallbackServer
): Effect.fn.Return<Context.Context<CurrentSession>, Failure, Scope.Scope> {
  const { own, owner, port, retry, servers, skipped } = shared
  const now = yield* monotonic.now
  yield* ejectUnfit({ port, servers, owner })
  if (!isFit(server)) {
    const isLastResort = !servers.some(isFit) && fewestFailures(servers) === server
    if (!isLastResort || !port.panicMode.admits(servers, now)) {
      return yield* tagError({ error: notTried({ server, owner, now: yield* monotonic.wallTime }), ledger: skipped })
    }
    yield* usingUnfit(server)
  }
  const ledger = open()
  own.add(ledger)
  // After a failure the next step reads the ledger.
  yield* Effect.addFinalizer((exit) => Effect.sync(() => Exit.isSuccess(exit) ? close(ledger) : undefined))
  const outer = yield* CurrentLedgers
  const session = yield* openFresh({ port, server, owner, retry, ledger })
  return Context.add(Context.make(CurrentSession, session), CurrentLedgers, [...outer, ledger])
})

/** Whether the plan goes on to a step after `error`, which counts against the server of the previous step. */
const failOver = (shared: Shared, previous: FallbackServer | undefined, error: unknown): Effect.Effect<boolean> =>
  Effect.tap(mayFailOver({ error, isOwn: (ledger) => shared.own.has(ledger) }), (may) => {
    const { owner, port, skipped } = shared
    if (!may || previous === undefined || isTagged({ error, ledger: skipped })) return Effect.void
    previous.state.telemetry.count("fallbacks")
    return recordFailure({ port, server: previous, owner, error: error as SessionError })
  })
