/**
 * Statuses of tasks, decoded into one shape for both eras, within bounds.
 */
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type { Era } from "../../Connection.ts"
import type { Task, TaskStatus } from "../../Mcp.ts"
import { InvalidResult } from "../../SessionError.ts"

/** The longest text that is kept of a server, in characters. A longer id cannot be used: over HTTP it is a header. */
const textLimit = 4096

/** Milliseconds between two polls: as the server asks, within bounds. */
const pollInterval = { default: 1000, minimum: 100, maximum: 60_000 }

const statuses: ReadonlySet<unknown> = new Set<TaskStatus>([
  "working",
  "input_required",
  "completed",
  "failed",
  "cancelled"
])

const isStatus = (value: unknown): value is TaskStatus => statuses.has(value)

const isAmount = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value >= 0

/** A member of an object, if the value of it is of the type. */
const member = <K extends string, A>(name: K, value: unknown, is: (value: unknown) => value is A) =>
  (is(value) ? { [name]: value } : {}) as { readonly [_ in K]?: A }

const text = (name: "statusMessage" | "createdAt" | "lastUpdatedAt", value: unknown) =>
  member(name, Predicate.isString(value) ? value.slice(0, textLimit) : undefined, Predicate.isString)

const isLifetime = (value: unknown): value is number | null => value === null || isAmount(value)

/** Decodes the status of a task, as a server of the era sends it. `method` is that of the request. */
export const decodeTask = (options: {
  readonly value: unknown
  readonly era: Era
  readonly method: string
}): Exit.Exit<Task, InvalidResult> => {
  const { era, method, value } = options
  const invalid = (problem: string) =>
    Exit.fail(new InvalidResult({ method, description: `the result of ${method} ${problem}` }))
  if (!Predicate.isObject(value)) return invalid("is not a task")
  const given = value as Record<string, unknown>
  const { status, taskId } = given
  if (!Predicate.isString(taskId)) return invalid("is not a task")
  if (taskId.length > textLimit) return invalid(`has a task id of more than ${textLimit} characters`)
  if (!isStatus(status)) return invalid("has a task in no known state")
  const [ttl, interval] = era === "modern"
    ? [given.ttlMs, given.pollIntervalMs]
    : [given.ttl, given.pollInterval]
  return Exit.succeed({
    taskId,
    status,
    ...text("statusMessage", given.statusMessage),
    ...text("createdAt", given.createdAt),
    ...text("lastUpdatedAt", given.lastUpdatedAt),
    ...member("ttl", ttl, isLifetime),
    ...member("pollInterval", interval, isAmount)
  })
}

/** The time until the next poll, in milliseconds. */
export const intervalOf = ({ pollInterval: asked }: Task): number =>
  asked === undefined
    ? pollInterval.default
    : Math.min(Math.max(asked, pollInterval.minimum), pollInterval.maximum)

/** Whether a task has ended. */
export const isOver = ({ status }: Task): boolean => status !== "working" && status !== "input_required"

/** Whether two statuses say the same to a reader. */
export const isSameStatus = (left: Task, right: Task): boolean =>
  left.status === right.status && left.statusMessage === right.statusMessage
