/**
 * Tool calls as tasks: the server accepts the call at once and works on it in its own time, while the client asks how far it
 * is. Such a call outlives every time limit of requests, and the connection too where the server keeps its tasks.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Task } from "../../Mcp.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import { InvalidResult, OutcomeUnknown, SessionError, TransportFailed, Unsupported } from "../../SessionError.ts"
import { isLost, type Perform } from "./execute.ts"

/** How often a server is asked, in milliseconds: as it wishes, within bounds. */
const pause = { usual: 1000, shortest: 100, longest: 60_000 }

/** How long telling the server that nobody waits may take. */
const farewell = Duration.seconds(2)

const safe = Effect.succeed(true)

const isTask = (value: unknown): value is Task =>
  Predicate.isObject(value) && "taskId" in value && typeof value.taskId === "string" && "status" in value &&
  typeof value.status === "string"

const pauseOf = ({ pollInterval }: Task): number =>
  typeof pollInterval === "number" && Number.isFinite(pollInterval)
    ? Math.min(Math.max(pollInterval, pause.shortest), pause.longest)
    : pause.usual

/** Calls a tool as a task and gives what `tasks/result` answers. Interruption cancels the task. */
export const callAsTask = (options: {
  readonly perform: Perform
  readonly server: string
  readonly tool: string
  readonly args: Record<string, unknown>
  /** How long the server is to keep the task, in milliseconds; `undefined` leaves that to it. */
  readonly ttl: number | undefined
  readonly isSafe: Effect.Effect<boolean>
  readonly timeout: Duration.Input | undefined
  readonly retry: RetryPolicy | undefined
  readonly onTask: ((task: Task) => Effect.Effect<void> | void) | undefined
}): Effect.Effect<unknown, SessionError> => {
  const { args, isSafe, onTask, perform, retry, server, timeout, tool, ttl } = options

  const create = perform({
    method: "tools/call",
    tool,
    isSafe,
    timeout,
    retry,
    run: ({ connection, info }) => {
      const method = "tools/call"
      if (info?.capabilities.tasks?.requests?.tools?.call === undefined) {
        return Effect.fail(new Unsupported({ method, description: "the server does not run tools as tasks" }))
      }
      const task = ttl === undefined ? {} : { ttl }
      return Effect.flatMap(
        connection.request({ method, params: { name: tool, arguments: args, task } }),
        (result) =>
          Predicate.isObject(result) && "task" in result && isTask(result.task)
            ? Effect.succeed(result.task)
            : Effect.fail(new InvalidResult({ method, description: `the result of ${tool} is no task` }))
      )
    }
  })

  const ask = (method: string, taskId: string) =>
    perform({
      method,
      tool: undefined,
      isSafe: safe,
      timeout,
      retry,
      role: "part",
      run: ({ connection }) => connection.request({ method, params: { taskId } })
    })

  const report = (task: Task): Effect.Effect<void> =>
    Effect.suspend(() => {
      const handling = onTask?.(task)
      return Effect.isEffect(handling) ? handling : Effect.void
    })

  const isSame = (left: Task, right: Task) => left.status === right.status && left.statusMessage === right.statusMessage

  /**
   * Asks how far the task is until its result is there. Where it needs something of us, that comes while its result is waited
   * for; when that takes longer than a request may, it is asked for again.
   */
  const follow = Effect.fnUntraced(function*(task: Task) {
    let latest = task
    yield* report(latest)
    while (true) {
      if (latest.status !== "working") {
        const isWaiting = latest.status === "input_required"
        const result = yield* ask("tasks/result", task.taskId).pipe(
          Effect.asSome,
          Effect.catchIf(
            ({ reason }) => isWaiting && reason._tag === "RequestTimeout",
            () => Effect.succeedNone
          )
        )
        if (Option.isSome(result)) return result.value
      }
      yield* Effect.sleep(pauseOf(latest))
      const next = yield* ask("tasks/get", task.taskId)
      if (!isTask(next)) {
        const reason = new InvalidResult({ method: "tasks/get", description: `the state of ${tool} is none of a task` })
        return yield* new SessionError({ server, reason })
      }
      if (!isSame(latest, next)) yield* report(next)
      latest = next
    }
  })

  /** The server has accepted the call, so whatever keeps us from its end says nothing of whether it ran. */
  const accepted = (error: SessionError, sentAt: number): SessionError => {
    const { reason } = error
    if (error.delivery === "Answered" || reason._tag === "OutcomeUnknown") return error
    const lost = isLost(reason) ? reason : new TransportFailed({ description: reason.message, delivery: "Unknown" })
    return new SessionError({ server, reason: new OutcomeUnknown({ method: "tools/call", tool, sentAt, lost }) })
  }

  const followAccepted = (task: Task) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (sentAt) => Effect.mapError(follow(task), (error) => accepted(error, sentAt))
    )

  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      restore(create),
      (task) =>
        Effect.onExit(restore(followAccepted(task)), (exit) =>
          Exit.hasInterrupts(exit)
            // It may have ended at that moment; then there is nothing to cancel.
            ? Effect.ignore(Effect.timeout(ask("tasks/cancel", task.taskId), farewell))
            : Effect.void)
    )
  )
}
