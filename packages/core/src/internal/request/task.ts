/**
 * Calls that may run as tasks: the server accepts a tool call at once and works on it in its own time, while the client polls it. Such a call
 * outlives the timeouts of requests, and the connection too where the server keeps its tasks.
 *
 * In revision 2025-11-25 the client asks for the task. In 2026-07-28 it declares that it knows tasks, and the server answers with the result or
 * with a task.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 * @see https://modelcontextprotocol.io/seps/2663-tasks-extension
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import { type ConnectionInfo, type Era, offersTasks } from "../../Connection.ts"
import type { CallToolResult, Task } from "../../Mcp.ts"
import { OutcomeUnknown, type Reason, SessionError, TransportFailed, Unsupported } from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { isLost } from "./deliveryRule.ts"
import { followLegacy } from "./legacyTask.ts"
import { followModern } from "./modernTask.ts"
import type { RequestOperation } from "./operation.ts"
import { declareTasks, TaskCall, type TaskCallOptions } from "./taskCall.ts"
import { decodeTask } from "./taskStatus.ts"

/** How long the cancellation of a task may take. */
const cancelTimeout = Duration.seconds(2)

const method = "tools/call"

export interface TaskOptions extends TaskCallOptions {
  /** How long a server of the legacy era keeps the task, in milliseconds; `undefined` leaves it to the server. */
  readonly ttl: number | undefined
}

/** The server has accepted the call as a task. */
class Accepted {
  readonly era: Era
  readonly task: Task

  constructor(era: Era, task: Task) {
    this.era = era
    this.task = task
  }
}

/** Calls a tool, as a task if the server makes it one. Interruption cancels the task. */
export const callAsTask = (options: TaskOptions): Effect.Effect<CallToolResult, SessionError> =>
  Effect.uninterruptibleMask((restore) => {
    let id: string | number | undefined
    const onSent = (sent: string | number) => {
      id = sent
      options.operation.onSent?.(sent)
    }
    return Effect.flatMap(restore(create(options, onSent)), (created) => {
      if (!(created instanceof Accepted)) return Effect.succeed(created)
      const { era, task } = created
      return followAccepted({ options, task: new TaskCall(options, { era, task, id }), restore })
    })
  })

const create = (
  { execute, operation, ttl }: TaskOptions,
  onSent: NonNullable<RequestOperation<unknown>["onSent"]>
): Effect.Effect<CallToolResult | Accepted, SessionError> => {
  const { decode, params = {} } = operation
  return execute<CallToolResult | Accepted>({
    ...operation,
    onSent,
    wireParams: (info) => {
      if (info.era === "legacy") return { ...params, task: ttl === undefined ? {} : { ttl } }
      return offersTasks(info) ? declareTasks(params) : params
    },
    // In the modern era the server decides: one that runs no tasks answers with the result.
    refuse: (info) =>
      info.era === "modern" || offersTasks(info)
        ? undefined
        : new Unsupported({ method, description: "the server does not run tools as tasks" }),
    recover: undefined,
    decode: (result, info) => decodeCreated(result, info, decode)
  })
}

const decodeCreated = (
  result: unknown,
  info: ConnectionInfo | undefined,
  decode: RequestOperation<CallToolResult>["decode"]
): Exit.Exit<CallToolResult | Accepted, Reason> => {
  const era = info?.era ?? "legacy"
  const given = (Predicate.isObject(result) ? result : {}) as Record<string, unknown>
  if (era === "modern" && given.resultType !== "task") return decode(result, info)
  const value = era === "modern" ? given : given.task
  return Exit.map(decodeTask({ value, era, method }), (task) => new Accepted(era, task))
}

/** Follows a task to its end, and cancels it when nobody waits for it any more. */
const followAccepted = ({ options, restore, task }: {
  readonly options: TaskOptions
  readonly task: TaskCall
  readonly restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
}): Effect.Effect<CallToolResult, SessionError> => {
  const followed = Effect.flatMap(
    task.era === "modern" ? followModern(task) : followLegacy(task),
    (result) => Effect.catch(options.operation.decode(result, undefined), (reason) => task.fail(reason))
  )
  return Effect.flatMap(monotonic.wallTime, (sentAt) =>
    restore(followed).pipe(
      Effect.onExit((exit) => isGivenUp(task, exit) ? cancel(task) : Effect.void),
      Effect.mapError((error) => outcomeOf(task, error, sentAt))
    ))
}

/** Whether a task goes on that is no longer followed, at a server that can be told. */
const isGivenUp = (task: TaskCall, exit: Exit.Exit<unknown, SessionError>): boolean => {
  if (task.isOver) return false
  if (Exit.hasInterrupts(exit)) return true
  const failure = Exit.findErrorOption(exit)
  return failure._tag === "Some" && failure.value.delivery === "Answered"
}

/** A task that has just ended cannot be cancelled, which is no failure. */
const cancel = (task: TaskCall): Effect.Effect<void> =>
  Effect.ignore(
    Effect.timeout(task.request({ method: "tasks/cancel", decode: () => Exit.void }), cancelTimeout)
  )

/** Whether a failure of a task is its outcome, or shows that the server breaks the protocol. */
const isOutcome = (reason: Reason): boolean =>
  reason._tag === "InvalidResult" || reason._tag === "TaskCancelled" || reason._tag === "OutcomeUnknown" ||
  (reason._tag === "ProtocolFailed" && reason.isOutcome === true)

/** The server has accepted the call, so no later failure proves that the tool did not run. */
const outcomeOf = ({ call, tool }: TaskCall, error: SessionError, sentAt: number): SessionError => {
  const { reason, server } = error
  if (isOutcome(reason)) return error
  const lost = isLost(reason)
    ? reason
    : new TransportFailed({ description: reason.message, delivery: "Unknown", cause: reason })
  return new SessionError({ server, reason: new OutcomeUnknown({ method, tool, requestId: call?.id, sentAt, lost }) })
}
