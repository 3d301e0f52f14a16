/**
 * Gets operations to a server under the delivery rule: what provably did not run is sent again, what may have run only if
 * running it twice is harmless, and what was answered never.
 *
 * Deadlines: one for each sending, and one over all of them.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Progress } from "../../Mcp.ts"
import { retryAfterOf, type RetryPolicy } from "../../RetryPolicy.ts"
import {
  type LostReason,
  NotInitialized,
  OutcomeUnknown,
  type Reason,
  RequestTimeout,
  SessionClosed,
  SessionError,
  TransportClosed
} from "../../SessionError.ts"
import type { Live, ManagedConnection } from "../connection/managedConnection.ts"
import { isTraced, withSpan } from "../telemetry.ts"
import type { Turn } from "./admission.ts"
import { CurrentLedgers, record } from "./toolLedger.ts"

/** One request as the delivery rule sees it. */
interface Operation<A> {
  readonly method: string
  /** What is no operation of its own in the eyes of a program: a part of one, or a sign of life. */
  readonly role?: "part" | "probe" | undefined
  readonly tool: string | undefined
  /** Whether running it twice is harmless. Asked only after a failure, and may ask the server in turn. */
  readonly isSafe: Effect.Effect<boolean>
  readonly timeout: Duration.Input | undefined
  /** When it is tried again, where that is allowed; by default as all operations are. */
  readonly retry?: RetryPolicy | undefined
  /** Where to report to. Each report starts the time of its sending anew. */
  readonly report?: ((progress: Progress) => void) | undefined
  readonly run: (
    live: Live,
    report: ((progress: Progress) => void) | undefined,
    onSent: (id: string | number) => void
  ) => Effect.Effect<A, Reason>
}

/** What is known of an operation as it goes on. */
interface Course {
  readonly via: Via
  readonly startedAt: number
  readonly isTraced: boolean
  /** How often it was sent. */
  attempts: number
}

/** What becomes known of one sending while it is under way. */
interface Sending {
  sentAt: number
  requestId: string | number | undefined
}

export type Perform = <A>(operation: Operation<A>) => Effect.Effect<A, SessionError>

/** By whom an operation is asked for. */
export interface Via {
  /** When it is tried again, where it does not say so itself. */
  readonly retry: RetryPolicy
  /** Completes when nothing goes this way any more; `undefined` if that is never. */
  readonly ended: Deferred.Deferred<void> | undefined
  /** Whether one try to connect is to be enough. */
  readonly isOnce: boolean
}

export type Deliver = <A>(operation: Operation<A>, via: Via) => Effect.Effect<A, SessionError>

export const isLost = (reason: Reason): reason is LostReason =>
  reason.delivery === "Unknown" && reason._tag !== "OutcomeUnknown"

/** Whether it may be sent again, now that what is unsafe has been turned into `OutcomeUnknown`. */
const mayResend = (error: SessionError): boolean =>
  error.reason._tag !== "OutcomeUnknown" && error.delivery !== "Answered"

/** The server forgot us, or the connection had died unnoticed. Nothing ran, and a new connection will do. */
const isReplaceable = ({ delivery, reason }: SessionError): boolean =>
  reason.losesConnection && (delivery === "NotSent" || delivery === "Rejected")

const isOver = ({ ended }: Via): boolean => ended !== undefined && Deferred.isDoneUnsafe(ended)

/** Makes the way to the server of a managed. */
export const make = (managed: ManagedConnection): Deliver => {
  const { name: server, config } = managed.definition
  const totalMillis = Duration.toMillis(config.totalTimeout)
  const { turns } = managed
  const { budget, circuit, counts, pace } = managed.memory

  const noteOf = (error: SessionError | undefined, sentAt: number) =>
    circuit.isOpen() ? Effect.void : circuit.note({ error, sentAt })

  /** As often as a policy wants, as long as the server has retries left. */
  const affordable = (policy: RetryPolicy): RetryPolicy => Schedule.while(policy, () => budget.spend())

  const fail = (reason: Reason) => new SessionError({ server, reason })

  /** Reports that the server wants to be asked less often. */
  const slowDown = (error: SessionError, { epoch }: Turn): Effect.Effect<void> => {
    const { reason } = error
    if (reason._tag !== "HttpFailed" || reason.status !== 429) {
      if (reason.health === "alive") pace.accepted(epoch)
      return Effect.void
    }
    return Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => pace.refused({ epoch, retryAfter: retryAfterOf({ error, now }) })
    )
  }

  /** One sending, on one connection, when it is its turn. */
  const send = <A>(operation: Operation<A>, live: Live, sending: Sending): Effect.Effect<A, SessionError> => {
    if (live.info === undefined) return Effect.fail(fail(new NotInitialized()))
    const own = Duration.toMillis(Duration.fromInputUnsafe(operation.timeout ?? config.requestTimeout))
    const { method, report } = operation
    const latest = sending.sentAt + totalMillis
    let isUnderWay = false
    let turn: Turn | undefined
    const sent = Effect.suspend(() =>
      managed.deadlines.within({
        operation: (restart) =>
          Effect.suspend(() => {
            isUnderWay = true
            live.inFlight++
            if (operation.role !== "probe") counts.requests++
            return operation.run(
              live,
              report === undefined ? undefined : (progress) => {
                restart()
                managed.heard(live)
                report(progress)
              },
              (id) => {
                sending.requestId = id
              }
            )
          }),
        millis: own,
        latest,
        onTimeout: (isLatest) =>
          new RequestTimeout({ method, timeout: isLatest ? totalMillis : own, delivery: "Unknown" })
      })
    ).pipe(
      Effect.matchEffect({
        onFailure: (reason) => {
          const error = fail(reason)
          const noted = reason.losesConnection ? managed.lose(live, error) : managed.observe(error, live)
          const asked = reason._tag === "RequestTimeout" ? Effect.andThen(noted, managed.suspect(live)) : noted
          const slowed = turn === undefined ? asked : Effect.andThen(asked, slowDown(error, turn))
          return Effect.andThen(Effect.andThen(slowed, noteOf(error, sending.sentAt)), error)
        },
        onSuccess: (value) => {
          budget.earn()
          if (turn !== undefined && turn.epoch > 0) pace.accepted(turn.epoch)
          managed.answered(live)
          const noted = noteOf(undefined, sending.sentAt)
          return noted === Effect.void ? Effect.succeed(value) : Effect.as(noted, value)
        }
      })
    )
    const waited = () =>
      Effect.flatMap(
        Effect.mapError(
          turns.wait({
            method,
            latest,
            onTaken: (taken) => {
              turn = taken
            }
          }),
          fail
        ),
        () =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            sending.sentAt = now
            // It was lost while the request waited for its turn.
            return live.isRetired ? Effect.fail(fail(new TransportClosed({ delivery: "NotSent" }))) : sent
          })
      )
    return Effect.suspend(() => {
      turn = turns.tryTake()
      return turn === undefined ? waited() : sent
    }).pipe(
      Effect.onExit(() => {
        if (turn === undefined) return Effect.void
        return isUnderWay ? Effect.andThen(turns.release, managed.leave(live)) : turns.release
      })
    )
  }

  /** Turns the end of a sending that may have run into the error that says so. */
  const settle = <A>(
    operation: Operation<A>,
    sentAt: number,
    requestId: string | number | undefined,
    error: SessionError
  ): Effect.Effect<never, SessionError> => {
    const { reason } = error
    if (!isLost(reason)) return Effect.fail(error)
    const { method, tool } = operation
    return Effect.flatMap(
      operation.isSafe,
      (isSafe) =>
        Effect.fail(isSafe ? error : fail(new OutcomeUnknown({ method, tool, requestId, sentAt, lost: reason })))
    )
  }

  const attempt = <A>(
    operation: Operation<A>,
    live: Live,
    now: number,
    course: Course
  ): Effect.Effect<A, SessionError> => {
    const sending: Sending = { sentAt: now, requestId: undefined }
    const attempts = ++course.attempts
    const sent = send(operation, live, sending)
    const settled = Effect.catch(
      circuit.isOpen() ? circuit.guard(sent) : sent,
      (error) => settle(operation, sending.sentAt, sending.requestId, error)
    )
    return course.isTraced
      ? withSpan({
        effect: settled,
        name: "attempt",
        attributes: {
          "mcp.attempt": attempts,
          "mcp.generation": live.generation,
          "mcp.protocol.version": live.info?.protocolVersion
        },
        link: live.span
      })
      : settled
  }

  /**
   * The tries of an operation that did not get through at once. `first` is how the one before ended, which counts as the
   * first try; without it there was no connection yet.
   */
  const persist = <A>(
    operation: Operation<A>,
    course: Course,
    first: SessionError | undefined
  ): Effect.Effect<A, SessionError> => {
    const { startedAt, via } = course
    const acquire = via.isOnce ? managed.acquireOnce : managed.acquire
    const connected = course.isTraced ? withSpan({ effect: acquire, name: "connection", attributes: {} }) : acquire
    let ended = first
    let replaced = false
    let sentAt = first === undefined ? undefined : startedAt
    let lost: LostReason | undefined
    // What succeeds here is final, and a failure to connect is final too: the managed has spent the policy on it already.
    const once: Effect.Effect<Effect.Effect<A, SessionError>, SessionError> = Effect.suspend(() => {
      // While it waited for its next try, say.
      if (isOver(via)) return Effect.succeed(Effect.fail(fail(new SessionClosed())))
      const before = ended
      ended = undefined
      return before !== undefined ? Effect.fail(before) : Effect.matchEffect(connected, {
        onFailure: (error) => Effect.succeed(Effect.fail(error)),
        onSuccess: (live) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            sentAt = now
            return Effect.map(attempt(operation, live, now, course), Effect.succeed)
          })
      })
    }).pipe(
      Effect.tapError(({ reason }) =>
        Effect.sync(() => {
          if (isLost(reason)) lost = reason
        })
      ),
      Effect.catchIf((error) => !replaced && isReplaceable(error), () => {
        replaced = true
        return once
      })
    )
    const expire = Effect.suspend(() => {
      const delivery = sentAt === undefined ? "NotSent" : "Unknown"
      const error = fail(new RequestTimeout({ method: operation.method, timeout: totalMillis, delivery }))
      return settle(operation, sentAt ?? startedAt, undefined, error)
    })
    /** A tool that may have run earlier may have run, whatever became of the tries after that. */
    const remember = (error: SessionError): SessionError => {
      const { method, tool } = operation
      return lost === undefined || tool === undefined || error.delivery === "Answered" || error.delivery === "Unknown"
        ? error
        : fail(new OutcomeUnknown({ method, tool, sentAt: startedAt, lost }))
    }
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      once.pipe(
        Effect.retry({ schedule: affordable(operation.retry ?? via.retry), while: mayResend }),
        Effect.flatten,
        Effect.mapError(remember),
        Effect.timeoutOrElse({ duration: Math.max(0, totalMillis - (now - startedAt)), orElse: () => expire })
      ))
  }

  const done = <A>(operation: Operation<A>, course: Course): Effect.Effect<A, SessionError> => {
    const live = managed.peek()
    return live === undefined
      ? persist(operation, course, undefined)
      : Effect.catchIf(
        attempt(operation, live, course.startedAt, course),
        mayResend,
        (error) => persist(operation, course, error)
      )
  }

  return (operation, via) =>
    Effect.withFiber((fiber) => {
      if (isOver(via)) return Effect.fail(fail(new SessionClosed()))
      if (operation.role === undefined) counts.operations++
      const course: Course = {
        via,
        startedAt: fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(),
        isTraced: isTraced(fiber),
        attempts: 0
      }
      const { isSafe, method, tool } = operation
      const ledgers = tool === undefined ? [] : fiber.getRef(CurrentLedgers)
      const all = ledgers.length === 0
        ? done(operation, course)
        : record({ effect: done(operation, course), isSafe, ledgers })
      if (!course.isTraced) return all
      return withSpan({
        effect: all,
        name: tool === undefined ? method : `${method} ${tool}`,
        kind: "client",
        attributes: {
          "mcp.server": server,
          "mcp.transport": config.transport,
          "mcp.method.name": method,
          ...(tool === undefined ? {} : { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool })
        }
      })
    })
}
