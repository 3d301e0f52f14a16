/**
 * Gets an operation done by the first of several servers that can, as `Fallback` says.
 */
import type { NonEmptyArray } from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionPlan from "effect/ExecutionPlan"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "../../ConfigError.ts"
import {
  AllServersFailed,
  type Candidate,
  CurrentSession,
  type FallbackOptions,
  inOrder,
  type Order
} from "../../Fallback.ts"
import * as Health from "../../Health.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type { Session } from "../../Session.ts"
import { CredentialsFailed, forOthers, RequestTimeout, ServerDown, SessionError } from "../../SessionError.ts"
import type { ServerState } from "../server/serverState.ts"
import {
  begin,
  CurrentTraces,
  finish,
  isOf,
  mayMove,
  noting,
  type Trace,
  traceError,
  withTrace
} from "../request/toolLedger.ts"
import { ClientSession } from "../session/clientSession.ts"
import { using } from "../using.ts"
import { patience, type Standing } from "./outlierDetection.ts"

/** A server as fallback sees it. */
interface Member {
  readonly server: string
  readonly state: ServerState
  readonly outlierDetection: Standing
}

/** What fallback needs to know of the sessions. */
export interface Servers {
  readonly panicWindow: Duration.Input
  readonly find: (server: string) => Effect.Effect<Member, ConfigError>
  /** A session that makes one try to connect and notes what is done on it. */
  readonly take: (options: {
    readonly server: string
    readonly owner: string
    readonly retry: RetryPolicy.RetryPolicy
    readonly trace: Trace
  }) => Effect.Effect<Session, SessionError | ConfigError, Scope.Scope>
}

type Failure = SessionError | ConfigError

/** After how long without a word a caller who gives up is a reason to look after the server, in milliseconds. */
const silence = 1000

/** How an operation ended at one server: for good, or so that the next may try. */
type Ended<A, E> = { readonly isFinal: true; readonly exit: Exit.Exit<A, E | Failure | AllServersFailed> } | {
  readonly isFinal: false
  readonly error: SessionError
}

/** Those of a hedged operation that are under way. The first that comes to a tool which must run once goes on alone. */
class Race {
  readonly #rivals = new Map<Member, Fiber.Fiber<unknown, unknown>>()
  #winner: Member | undefined

  /** Who goes on alone, if anyone does. */
  get winner(): Member | undefined {
    return this.#winner
  }

  enter(member: Member, rival: Fiber.Fiber<unknown, unknown>): void {
    this.#rivals.set(member, rival)
  }

  /** Ends all others, or the one that came too late. It has nothing to wait for: none of them can come this far any more. */
  commit(one: Member): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#winner ??= one
      if (this.#winner !== one) return Effect.interrupt
      for (const [member, rival] of this.#rivals) if (member !== one) rival.interruptUnsafe()
      return Effect.void
    })
  }

  /** Whether what came of a member is of no account, for it had to give way. */
  hasGivenWay(member: Member): boolean {
    return this.#winner !== undefined && this.#winner !== member
  }

  /** Ends all, and waits for that. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => Fiber.interruptAll(this.#rivals.values()))
  }
}

export interface Fallbacks {
  readonly withFallback: <A, E, R>(
    options: FallbackOptions,
    operation: (session: Session) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Failure | AllServersFailed, R>
  readonly plan: (options: Pick<FallbackOptions, "owner" | "retry" | "servers">) => Effect.Effect<
    ExecutionPlan.ExecutionPlan<{
      provides: CurrentSession
      input: unknown
      error: Failure
      requirements: never
    }>,
    ConfigError
  >
}

/** Makes fallback over named servers. */
export const make = ({ find, panicWindow, take }: Servers): Fallbacks => {
  const staleMillis = Duration.toMillis(Health.staleAfter)
  const panicMillis = Duration.toMillis(Duration.fromInputUnsafe(panicWindow))

  const isFit = ({ outlierDetection: standing, state }: Member) =>
    !standing.isOut() && state.health.errorCount <= Health.maxErrors && !state.circuitBreaker.isOpen()

  /** A session that may fail like what is done on it: then nothing was. */
  const sessionOf = (member: Member, owner: string, retry: RetryPolicy.RetryPolicy, trace: Trace) =>
    Effect.mapError(
      take({ server: member.server, owner, retry, trace }),
      (error) => error._tag === "SessionError" ? traceError({ error, trace }) : error
    )

  /** Asks for a sign of life. Whatever a server answers is one. */
  const probe = (
    { server }: Member,
    owner: string,
    ask: (session: Session) => Effect.Effect<void, SessionError> = ClientSession.probe
  ) =>
    Effect.scoped(Effect.flatMap(take({ server, owner, retry: RetryPolicy.never, trace: begin() }), ask)).pipe(
      // Credentials that are not in order may be so the next time.
      Effect.catchTag("ConfigError", (cause) =>
        Effect.fail(new SessionError({ server, reason: new CredentialsFailed({ owner, cause }) }))),
      Effect.catchIf(({ reason }) =>
        reason.health === "alive", () => Effect.void)
    )

  /** The same of a server that there is a connection to. One that takes its time to start has a time limit of its own. */
  const probeConnected = (member: Member, owner: string) =>
    probe(
      member,
      owner,
      (session) =>
        Effect.flatMap(
          session.state,
          ({ _tag }) => _tag === "Ready" || _tag === "Suspect" ? ClientSession.probe(session) : Effect.void
        )
    )

  /** Passes a server over that is not fit, until it has shown that it is. */
  const passOver = (member: Member, owner: string) => member.outlierDetection.leave(probe(member, owner))

  /** Those that are found to be not fit, whoever has found out first. */
  const passOverUnfit = (members: ReadonlyArray<Member>, owner: string): Effect.Effect<void> => {
    const unfit = members.filter((member) => !isFit(member) && !member.outlierDetection.isOut())
    return unfit.length === 0
      ? Effect.void
      : Effect.forEach(unfit, (member) => passOver(member, owner), { discard: true })
  }

  /** Why a server is not tried, as an error of it. */
  const reasonOf = ({ outlierDetection: standing, server, state }: Member, owner: string, now: number): SessionError => {
    const last = standing.last()
    if (last?.owner === owner) return last.error
    const known = last?.error ?? state.health.lastError
    const reason = known === undefined ? undefined : forOthers(known.reason)
    return new SessionError({ server, reason: reason ?? new ServerDown({ retryAt: now }) })
  }

  /** A session of a server that is fit. One that was not heard of for long has to give a sign of life first. */
  const proven = (member: Member, owner: string, retry: RetryPolicy.RetryPolicy, trace: Trace) =>
    Effect.flatMap(sessionOf(member, owner, retry, trace), (session) =>
      Effect.withFiber((fiber) => {
        const { lastChecked } = member.state.health
        const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        const isStale = lastChecked !== undefined && now - lastChecked > staleMillis
        return isStale ? Effect.as(ClientSession.probe(session), session) : Effect.succeed(session)
      }))

  /** The one that is tried where none is fit. */
  const leastBad = (members: ReadonlyArray<Member>): Member | undefined =>
    members.toSorted((one, other) => one.state.health.errorCount - other.state.health.errorCount)[0]

  /** Whether it is time to try one though none is fit. If so, it is the one for this time. */
  const mayPanic = (members: ReadonlyArray<Member>, now: number): boolean => {
    if (members.some(({ outlierDetection: standing }) => now - standing.panickedAt < panicMillis)) return false
    for (const { outlierDetection: standing } of members) standing.panickedAt = now
    return true
  }

  const candidateOf = (member: Member, now: number): Candidate => ({
    server: member.server,
    inFlight: member.state.bulkhead.used,
    health: Health.report({ health: member.state.health, now })
  })

  /** Each once, however often it is named. */
  const findAll = (servers: ReadonlyArray<string>) => Effect.forEach(new Set(servers), find)

  /** In the order in which they are to be tried. */
  const arrange = (members: ReadonlyArray<Member>, order: Order, now: number): ReadonlyArray<Member> => {
    if (order === inOrder) return members
    const byName = new Map(members.map((member) => [member.server, member]))
    return order(members.map((member) => candidateOf(member, now))).flatMap(({ server }) => {
      const member = byName.get(server)
      return member === undefined ? [] : [member]
    })
  }

  const withFallback: Fallbacks["withFallback"] = <A, E, R>(
    { hedge, order = inOrder, owner = "default", retry = RetryPolicy.never, servers }: FallbackOptions,
    operation: (session: Session) => Effect.Effect<A, E, R>
  ) => {
    type Done = Ended<A, E>

    const attempt = (member: Member, commit: Effect.Effect<void> | undefined): Effect.Effect<Done, never, R> => {
      const trace = begin(commit)
      const operate = (session: Session) => noting({ effect: operation(session), trace })
      return using({ acquire: proven(member, owner, retry, trace), use: operate }).pipe(
        Effect.exit,
        Effect.flatMap((exit): Effect.Effect<Done> => {
          const error = Option.getOrUndefined(Exit.findErrorOption(exit))
          if (error === undefined) return Effect.succeed({ isFinal: true, exit })
          return Effect.map(
            mayMove({ error, isOwn: (one) => one === trace }),
            (moves): Done => moves ? { isFinal: false, error: error as SessionError } : { isFinal: true, exit }
          )
        }),
        Effect.ensuring(Effect.sync(() => finish(trace)))
      )
    }

    /** Who gave up waiting may have had good reason. */
    const givenUp = (member: Member, startedAt: number) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const { outlierDetection: standing, server, state } = member
        const isSilent = now - startedAt >= silence && (state.health.lastChecked ?? 0) <= startedAt
        if (!isSilent) return Effect.void
        const reason = new RequestTimeout({ method: "ping", timeout: patience, delivery: "Unknown" })
        return standing.doubt({
          owner,
          ask: probeConnected(member, owner),
          probe: probe(member, owner),
          silent: new SessionError({ server, reason })
        })
      })

    /** What came of an operation on a server is seen by all that come after it. */
    const tried = (member: Member, commit: Effect.Effect<void> | undefined) =>
      Effect.withFiber((fiber) => {
        // Of two that race, one is ended because the other was faster.
        if (commit !== undefined) return noted(member, commit)
        const startedAt = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        return Effect.onInterrupt(noted(member, commit), () => givenUp(member, startedAt))
      })

    const noted = (member: Member, commit: Effect.Effect<void> | undefined) =>
      Effect.tap(attempt(member, commit), (ended) => {
        if (ended.isFinal && isFit(member)) return Effect.void
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const fails = !ended.isFinal && member.outlierDetection.hasFailed({ error: ended.error, owner, now })
          return fails || !isFit(member) ? passOver(member, owner) : Effect.void
        })
      })

    return Effect.flatMap(findAll(servers), (members) =>
      Effect.withFiber((fiber) => {
        const clock = fiber.getRef(Clock.Clock)
        const ordered = arrange(members, order, clock.currentTimeMillisUnsafe())
        const errors = new Map<Member, SessionError>()
        const allFailed = Effect.map(Clock.currentTimeMillis, (now): Done => ({
          isFinal: true,
          exit: Exit.fail(
            new AllServersFailed({
              errors: ordered.map((member) => errors.get(member) ?? reasonOf(member, owner, now))
            })
          )
        }))

        /** The next that is fit, and those after it. */
        const next = (left: ReadonlyArray<Member>): readonly [Member, ReadonlyArray<Member>] | undefined => {
          const index = left.findIndex(isFit)
          const member = left[index]
          return member === undefined ? undefined : [member, left.slice(index + 1)]
        }

        const panic: Effect.Effect<Done, never, R> = Effect.suspend(() => {
          const left = ordered.filter((member) => !errors.has(member))
          const member = leastBad(left)
          if (member === undefined || !mayPanic(left, clock.currentTimeMillisUnsafe())) return allFailed
          const { circuitBreaker: circuit } = member.state
          circuit.grantTrial()
          return attempt(member, undefined).pipe(
            Effect.ensuring(Effect.sync(circuit.revokeTrial)),
            Effect.flatMap((ended) => {
              const hasAnswered = member.state.health.errorCount === 0
              if (ended.isFinal) return Effect.as(hasAnswered ? member.outlierDetection.enter : Effect.void, ended)
              errors.set(member, ended.error)
              return allFailed
            })
          )
        })

        const moveOn = (member: Member, error: SessionError, rest: ReadonlyArray<Member>): void => {
          errors.set(member, error)
          if (rest.length > 0) member.state.counters.fallbacks++
        }

        const run = (left: ReadonlyArray<Member>): Effect.Effect<Done, never, R> =>
          Effect.suspend(() => {
            const found = next(left)
            const passed = passOverUnfit(left, owner)
            if (found === undefined) return Effect.andThen(passed, panic)
            const [member, rest] = found
            const ended = hedge === undefined || next(rest) === undefined
              ? Effect.flatMap(tried(member, undefined), (ended): Effect.Effect<Done, never, R> => {
                if (ended.isFinal) return Effect.succeed(ended)
                moveOn(member, ended.error, rest)
                return run(rest)
              })
              : hedged(member, rest, hedge)
            return passed === Effect.void ? ended : Effect.andThen(passed, ended)
          })

        const hedged = (
          member: Member,
          rest: ReadonlyArray<Member>,
          hedge: Duration.Input
        ): Effect.Effect<Done, never, R> =>
          Effect.suspend(() => {
            const race = new Race()
            const enter = (member: Member) =>
              Effect.tap(
                Effect.forkChild(tried(member, race.commit(member)), { startImmediately: true }),
                (fiber) => Effect.sync(() => race.enter(member, fiber))
              )
            const raced = Effect.gen(function*() {
              const first = yield* enter(member)
              const early = yield* Effect.timeoutOption(Fiber.await(first), hedge)
              const other = next(rest)
              const mayHedge = Option.isNone(early) && race.winner === undefined && other !== undefined &&
                other[0].state.retryBudget.spend()
              if (!mayHedge) return { ends: [[member, yield* Fiber.join(first)] as const], left: rest }
              const [rival, last] = other
              const second = yield* enter(rival)
              const endOf = (member: Member, fiber: Fiber.Fiber<Done>) =>
                Effect.map(Fiber.await(fiber), (exit) =>
                  // Whoever was made to give way has failed at nothing.
                  [member, Exit.isSuccess(exit) && !race.hasGivenWay(member) ? exit.value : undefined] as const)
              const won = yield* Effect.raceFirst(endOf(member, first), endOf(rival, second))
              if (won[1]?.isFinal === true) return { ends: [won], left: last }
              const late = yield* won[0] === member ? endOf(rival, second) : endOf(member, first)
              return { ends: [won, late], left: last }
            })
            // Nothing of it goes on beside what comes next.
            return Effect.flatMap(Effect.ensuring(raced, race.end), ({ ends, left }) => {
              const again: Array<Member> = []
              for (const [member, ended] of ends) {
                if (ended?.isFinal === true) return Effect.succeed(ended)
                if (ended === undefined) again.push(member)
                else moveOn(member, ended.error, left)
              }
              return run([...again, ...left])
            })
          })

        return Effect.flatMap(run(ordered), (ended) => (ended as Extract<Done, { isFinal: true }>).exit)
      }))
  }

  const plan: Fallbacks["plan"] = ({ owner = "default", retry = RetryPolicy.never, servers }) =>
    Effect.map(findAll(servers), (members) => {
      /** Of what was not tried. Its errors move on and count for nothing. */
      const passedOver = begin()
      const own = new WeakSet([passedOver])
      const steps = members.map((member, index) => {
        const { state: { circuitBreaker: circuit }, outlierDetection: standing } = member
        const session = Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          yield* passOverUnfit(members, owner)
          if (!isFit(member)) {
            const isLast = members.every((member) => !isFit(member)) && leastBad(members) === member
            if (!isLast || !mayPanic(members, now)) {
              return yield* withTrace({ effect: Effect.fail(reasonOf(member, owner, now)), trace: passedOver })
            }
            yield* Effect.acquireRelease(Effect.sync(circuit.grantTrial), () => Effect.sync(circuit.revokeTrial))
            // If it has answered, there is none that is better.
            yield* Effect.addFinalizer(() => member.state.health.errorCount === 0 ? standing.enter : Effect.void)
          }
          const trace = begin()
          own.add(trace)
          // Where it has failed, the next step looks at what has run.
          yield* Effect.addFinalizer((exit) => Effect.sync(() => Exit.isSuccess(exit) ? finish(trace) : undefined))
          const outer = yield* CurrentTraces
          const services = Context.make(CurrentSession, yield* proven(member, owner, retry, trace))
          return Context.add(services, CurrentTraces, [...outer, trace])
        })
        const previous = members[index - 1]
        return {
          provide: Layer.fresh(Layer.effectContext(session)),
          while: (error: unknown) =>
            Effect.tap(mayMove({ error, isOwn: (trace) => own.has(trace) }), (moves) =>
              Effect.gen(function*() {
                if (!moves || previous === undefined || isOf({ error, trace: passedOver })) return
                previous.state.counters.fallbacks++
                const now = yield* Clock.currentTimeMillis
                const failed = { error: error as SessionError, owner, now }
                if (previous.outlierDetection.hasFailed(failed)) yield* passOver(previous, owner)
              }))
        }
      })
      return ExecutionPlan.make(...steps as NonEmptyArray<(typeof steps)[number]>)
    })

  return { withFallback, plan }
}
