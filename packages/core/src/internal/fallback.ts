/**
 * Gets an operation done by the first of several servers that can, as `Fallback` says.
 */
import type { NonEmptyArray } from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionPlan from "effect/ExecutionPlan"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "../ConfigError.ts"
import {
  AllServersFailed,
  type Candidate,
  CurrentSession,
  type FallbackOptions,
  inOrder,
  type Order
} from "../Fallback.ts"
import * as Health from "../Health.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import type { Session } from "../Session.ts"
import { ServerDown, SessionError } from "../SessionError.ts"
import type { ServerMemory } from "./connectionSlot.ts"
import type { Standing } from "./standing.ts"
import { mayMove, type Trace, withTrace } from "./trace.ts"

/** A server as fallback sees it. */
interface Member {
  readonly server: string
  readonly memory: ServerMemory
  readonly standing: Standing
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

/** How an operation ended at one server: for good, or so that the next may try. */
type Ended<A, E> = { readonly isFinal: true; readonly exit: Exit.Exit<A, E | Failure | AllServersFailed> } | {
  readonly isFinal: false
  readonly error: SessionError
}

/** Those of a hedged operation that are under way. The first that comes to a tool which must run once goes on alone. */
class Race {
  readonly #rivals = new Set<Fiber.Fiber<unknown, unknown>>()
  #winner: object | undefined

  get isDecided(): boolean {
    return this.#winner !== undefined
  }

  enter(rival: Fiber.Fiber<unknown, unknown>): void {
    this.#rivals.add(rival)
  }

  /** Ends all others, or never comes back. */
  commit(one: object): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      this.#winner ??= one
      if (this.#winner !== one) return Effect.never
      return Effect.asVoid(Fiber.interruptAll([...this.#rivals].filter((rival) => rival !== fiber)))
    })
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

  const isFit = ({ memory, standing }: Member) =>
    !standing.isOut() && memory.health.errorCount <= Health.maxErrors && !memory.circuit.isOpen()

  const sessionOf = (member: Member, owner: string, retry: RetryPolicy.RetryPolicy, trace: Trace) =>
    take({ server: member.server, owner, retry, trace })

  /** Passes a server over that is not fit, until it has shown that it is. */
  const passOver = (member: Member, owner: string) =>
    member.standing.leave(
      Effect.scoped(Effect.flatMap(sessionOf(member, owner, RetryPolicy.never, { ran: [] }), ({ ping }) => ping)).pipe(
        // The server is known, or it would not be here.
        Effect.catchTag("ConfigError", Effect.die)
      )
    )

  /** Why a server is not tried, as an error of it. */
  const reasonOf = ({ memory, server }: Member, now: number): SessionError =>
    memory.health.lastError ?? new SessionError({ server, reason: new ServerDown({ retryAt: now }) })

  /** A session of a server that is fit. One that was not heard of for long has to give a sign of life first. */
  const proven = (member: Member, owner: string, retry: RetryPolicy.RetryPolicy, trace: Trace) =>
    Effect.flatMap(sessionOf(member, owner, retry, trace), (session) =>
      Effect.withFiber((fiber) => {
        const { lastChecked } = member.memory.health
        const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        const isStale = lastChecked !== undefined && now - lastChecked > staleMillis
        return isStale ? Effect.as(session.ping, session) : Effect.succeed(session)
      }))

  /** The one that is tried though none is fit, if it is time for that. */
  const leastBad = (members: ReadonlyArray<Member>, now: number): Member | undefined => {
    if (members.some(({ standing }) => now - standing.panickedAt < panicMillis)) return undefined
    const [least] = members.toSorted((one, other) => one.memory.health.errorCount - other.memory.health.errorCount)
    if (least !== undefined) least.standing.panickedAt = now
    return least
  }

  const candidateOf = (member: Member, now: number): Candidate => ({
    server: member.server,
    inFlight: member.memory.places.used,
    health: Health.report({ health: member.memory.health, now })
  })

  const findAll = (servers: ReadonlyArray<string>) => Effect.forEach(servers, find)

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
      const trace: Trace = { ran: [], commit }
      return Effect.scoped(Effect.flatMap(proven(member, owner, retry, trace), operation)).pipe(
        Effect.exit,
        Effect.flatMap((exit): Effect.Effect<Done> => {
          const error = Option.getOrUndefined(Exit.findErrorOption(exit))
          if (error === undefined) return Effect.succeed({ isFinal: true, exit })
          return Effect.map(
            mayMove(error),
            (moves): Done => moves ? { isFinal: false, error: error as SessionError } : { isFinal: true, exit }
          )
        })
      )
    }

    /** What came of an operation on a server is seen by all that come after it. */
    const tried = (member: Member, commit: Effect.Effect<void> | undefined) =>
      Effect.tap(attempt(member, commit), (ended) => {
        if (ended.isFinal && isFit(member)) return Effect.void
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const fails = !ended.isFinal && member.standing.hasFailed(now)
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
            new AllServersFailed({ errors: ordered.map((member) => errors.get(member) ?? reasonOf(member, now)) })
          )
        }))

        /** The next that is fit, and those after it. */
        const next = (left: ReadonlyArray<Member>): readonly [Member, ReadonlyArray<Member>] | undefined => {
          const index = left.findIndex(isFit)
          const member = left[index]
          return member === undefined ? undefined : [member, left.slice(index + 1)]
        }

        const panic: Effect.Effect<Done, never, R> = Effect.suspend(() => {
          const member = leastBad(ordered.filter((member) => !errors.has(member)), clock.currentTimeMillisUnsafe())
          if (member === undefined) return allFailed
          member.memory.circuit.pardon()
          return Effect.flatMap(attempt(member, undefined), (ended) => {
            if (ended.isFinal) return Effect.as(member.standing.enter, ended)
            errors.set(member, ended.error)
            return allFailed
          })
        })

        const run = (left: ReadonlyArray<Member>): Effect.Effect<Done, never, R> =>
          Effect.suspend(() => {
            const found = next(left)
            if (found === undefined) return panic
            const [member, rest] = found
            const moveOn = (ended: Done): Effect.Effect<Done, never, R> => {
              if (ended.isFinal) return Effect.succeed(ended)
              errors.set(member, ended.error)
              member.memory.counts.fallbacks++
              return run(rest)
            }
            return hedge === undefined || next(rest) === undefined
              ? Effect.flatMap(tried(member, undefined), moveOn)
              : hedged(member, rest, hedge)
          })

        const hedged = (
          member: Member,
          rest: ReadonlyArray<Member>,
          hedge: Duration.Input
        ): Effect.Effect<Done, never, R> =>
          Effect.gen(function*() {
            const race = new Race()
            const first = yield* Effect.forkChild(tried(member, race.commit(member)), { startImmediately: true })
            race.enter(first)
            const early = yield* Effect.timeoutOption(Fiber.await(first), hedge)
            const other = next(rest)
            const mayHedge = Option.isNone(early) && !race.isDecided && other !== undefined &&
              other[0].memory.budget.spend()
            if (!mayHedge) {
              const ended = yield* Fiber.join(first)
              if (ended.isFinal) return ended
              errors.set(member, ended.error)
              member.memory.counts.fallbacks++
              return yield* run(rest)
            }
            const [rival, last] = other
            const second = yield* Effect.forkChild(tried(rival, race.commit(rival)), { startImmediately: true })
            race.enter(second)
            // How the one ended that was first to, and how the other does if that did not settle it.
            const settled = yield* Effect.raceFirst(
              Effect.map(Fiber.await(first), (exit) => ({ exit, member, rest: second, restMember: rival })),
              Effect.map(Fiber.await(second), (exit) => ({ exit, member: rival, rest: first, restMember: member }))
            )
            return yield* settle(settled, last)
          })

        const settle = (
          settled: {
            readonly exit: Exit.Exit<Done>
            readonly member: Member
            readonly rest: Fiber.Fiber<Done>
            readonly restMember: Member
          },
          last: ReadonlyArray<Member>
        ): Effect.Effect<Done, never, R> =>
          Effect.gen(function*() {
            const { exit, member, rest, restMember } = settled
            const ended = Exit.isSuccess(exit) ? exit.value : undefined
            if (ended?.isFinal === true) return yield* Effect.as(Fiber.interrupt(rest), ended)
            // Whoever was made to give way has failed at nothing.
            if (ended !== undefined) errors.set(member, ended.error)
            const other = yield* Fiber.await(rest)
            const otherEnded = Exit.isSuccess(other) ? other.value : undefined
            if (otherEnded?.isFinal === true) return otherEnded
            if (otherEnded !== undefined) errors.set(restMember, otherEnded.error)
            const untried = [member, restMember].filter((one) => !errors.has(one))
            return yield* run([...untried, ...last])
          })

        return Effect.flatMap(run(ordered), (ended) => (ended as Extract<Done, { isFinal: true }>).exit)
      }))
  }

  const plan: Fallbacks["plan"] = ({ owner = "default", retry = RetryPolicy.never, servers }) =>
    Effect.map(findAll(servers), (members) => {
      const steps = members.map((member) => {
        const session = Effect.gen(function*() {
          const trace: Trace = { ran: [] }
          const now = yield* Clock.currentTimeMillis
          const unfit = members.filter((member) => !isFit(member))
          yield* Effect.forEach(unfit, (member) => passOver(member, owner), { discard: true })
          if (unfit.includes(member)) {
            if (unfit.length < members.length || leastBad(members, now) !== member) {
              return yield* withTrace({ effect: Effect.fail(reasonOf(member, now)), trace })
            }
            member.memory.circuit.pardon()
          }
          return yield* proven(member, owner, retry, trace)
        })
        return { provide: Layer.fresh(Layer.effect(CurrentSession, session)), while: mayMove }
      })
      return ExecutionPlan.make(...steps as NonEmptyArray<(typeof steps)[number]>)
    })

  return { withFallback, plan }
}
