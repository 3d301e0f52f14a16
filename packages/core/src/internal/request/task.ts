/**
 * Task calls: the server accepts a tool call at once and works on it in its own time, while the client polls it. Such a call outlives the
 * timeouts of requests, and the connection too where the server keeps its tasks.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Task } from "../../Mcp.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import {
  InvalidResult,
  OutcomeUnknown,
  type Reason,
  SessionError,
  TransportFailed,
  Unsupported
} from "../../SessionError.ts"
import * as monotonic from "../monotonic.ts"
import { isLost } from "./deliveryRule.ts"
import type { Execute } from "./execute.ts"
import { read, type ToolCall } from "./operation.ts"

/** Milliseconds between two polls: as the server asks, within bounds. */
const pollInterval = { default: 1000, minimum: 100, maximum: 60_000 }

/** How long the cancellation of a task may take. */
const cancelTimeout = Duration.seconds(2)

export interface TaskOptions {
  readonly execute: Execute
  readonly server: string
  readonly kind: ToolCall
  /** The params of the call, without the task. */
  readonly params: Record<string, unknown>
  /** How long the server keeps the task, in milliseconds; `undefined` leaves it to the server. */
  readonly ttl: number | undefined
  /** In milliseconds. */
  readonly timeout: number | undefined
  readonly retry: RetryPolicy | undefined
  readonly onTask: ((task: Task) => void) | undefined
}

const isTask = (value: unknown): value is Task =>
  Predicate.isObject(value) && "taskId" in value && typeof value.taskId === "string" && "status" in value &&
  typeof value.status === "string"

const intervalOf = ({ pollInterval: asked }: Task): number =>
  typeof asked === "number" && Number.isFinite(asked)
    ? Math.min(Math.max(asked, pollInterval.minimum), pollInterval.maximum)
    : pollInterval.default

const hasSameStatus = (left: Task, right: Task) =>
  left.status === right.status && left.statusMessage === right.statusMessage

/** Calls a tool as a task. Succeeds with the result of `tasks/result`. Interruption cancels the task. */
export const callAsTask = (options: TaskOptions): Effect.Effect<unknown, SessionError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      restore(create(options)),
      (task) =>
        Effect.onExit(restore(followAccepted(options, task)), (exit) =>
          Exit.hasInterrupts(exit)
            // A task that has just ended cannot be cancelled, which is no failure.
            ? Effect.ignore(Effect.timeout(ask(options, "tasks/cancel", task.taskId), cancelTimeout))
            : Effect.void)
    )
  )

const create = ({ execute, kind, params, retry, timeout, ttl }: TaskOptions): Effect.Effect<Task, SessionError> => {
  const method = "tools/call"
  return execute<Task>({
    kind,
    method,
    params: { ...params, task: ttl === undefined ? {} : { ttl } },
    timeout,
    retry,
    refuse: ({ capabilities }) =>
      capabilities.tasks?.requests?.tools?.call === undefined
        ? new Unsupported({ method, description: "the server does not run tools as tasks" })
        : undefined,
    decode: (result): Exit.Exit<Task, Reason> =>
      Predicate.isObject(result) && "task" in result && isTask(result.task)
        ? Exit.succeed(result.task)
        : Exit.fail(new InvalidResult({ method, description: `the result of ${kind.tool} is not a task` }))
  })
}

const ask = ({ execute, retry, timeout }: TaskOptions, method: string, taskId: string) =>
  execute<unknown>({ kind: read, isPart: true, method, params: { taskId }, timeout, retry, decode: Exit.succeed })

/**
 * Polls the task until its result is there. If the task needs input, the server asks for it while `tasks/result` is in flight; where that takes
 * longer than a request may, it is sent again.
 */
const follow = Effect.fnUntraced(function*(options: TaskOptions, task: Task) {
  let latest = task
  options.onTask?.(latest)
  while (true) {
    if (latest.status !== "working") {
      const needsInput = latest.status === "input_required"
      const result = yield* ask(options, "tasks/result", task.taskId).pipe(
        Effect.asSome,
        Effect.catchIf(
          ({ reason }) => needsInput && reason._tag === "RequestTimeout",
          () => Effect.succeedNone
        )
      )
      if (Option.isSome(result)) return result.value
    }
    yield* Effect.sleep(intervalOf(latest))
    const next = yield* ask(options, "tasks/get", task.taskId)
    if (!isTask(next)) {
      const description = `the status of the task of ${options.kind.tool} is not a task`
      const reason = new InvalidResult({ method: "tasks/get", description })
      return yield* new SessionError({ server: options.server, reason })
    }
    if (!hasSameStatus(latest, next)) options.onTask?.(next)
    latest = next
  }
})

/** The server accepted the call, so no later failure proves that the tool did not run. */
const followAccepted = (options: TaskOptions, task: Task): Effect.Effect<unknown, SessionError> =>
  Effect.flatMap(monotonic.wallTime, (sentAt) =>
    Effect.mapError(follow(options, task), (error) => {
      const { reason } = error
      if (error.delivery === "Answered" || reason._tag === "OutcomeUnknown") return error
      const lost = isLost(reason) ? reason : new TransportFailed({ description: reason.message, delivery: "Unknown" })
      const { kind: { tool }, server } = options
      return new SessionError({ server, reason: new OutcomeUnknown({ method: "tools/call", tool, sentAt, lost }) })
    }))
