/**
 * Task: a tool call whose client has a handle instead of the result. The call continues, and the client polls its state until it ends.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks
 * @see https://github.com/modelcontextprotocol/ext-tasks
 */
import * as DateTime from "effect/DateTime"
import * as Predicate from "effect/Predicate"
import type { RpcError } from "../protocol/rpc.ts"
import { type ClientCall, interrupt } from "./clientCall.ts"
import type { OpenQuestions } from "./openQuestions.ts"

/** The default time to live of a task from its creation, and its bounds, in milliseconds. */
const lifetime = { default: 60 * 60 * 1000, minimum: 1000, maximum: 24 * 60 * 60 * 1000 } as const

/** How long the outcome is kept at least, in milliseconds from the end, of a task that has run for longer than it was to be kept. */
const grace = 5 * 60 * 1000

/** Milliseconds between two requests for the state: as the server of the task asks, within bounds. */
const pollInterval = { default: 1000, minimum: 100, maximum: 60_000 } as const

/** The longest text of a server about its task that is passed on, in characters. */
const longestMessage = 4096

/** How the call of a task ended. */
export type Outcome =
  | { readonly _tag: "Completed"; readonly result: Readonly<Record<string, unknown>> }
  | { readonly _tag: "Failed"; readonly error: RpcError }
  | { readonly _tag: "Cancelled" }

/** What a server says of its task. */
export interface Report {
  readonly ttl?: unknown
  readonly pollInterval?: unknown
  readonly statusMessage?: unknown
}

/** A task by name, with the data that any process needs. */
interface TaskName {
  readonly name: string
  /** The name of the client session. */
  readonly session: string
  /** In milliseconds since the epoch. */
  readonly createdAt: number
  /** In milliseconds. */
  readonly ttl: number
}

interface Parts extends TaskName {
  /** The id that the client knows. */
  readonly id: string
  /** The running call; `undefined` if this process does not know the call. */
  readonly call: ClientCall | undefined
  readonly questions: OpenQuestions | undefined
  readonly timeOfDay: () => number
}

const textOf = (time: number): string => DateTime.formatIso(DateTime.makeUnsafe(time))

const isToolError = ({ isError }: Readonly<Record<string, unknown>>): boolean => isError === true

/** Reads how long a task is to be kept, in milliseconds. */
export const lifetimeOf = ({ asked, report: { ttl } }: {
  readonly asked: number | undefined
  readonly report: Report
}): number => {
  const said = Predicate.isNumber(ttl) && ttl > 0 ? ttl : asked ?? lifetime.default
  return Math.min(Math.max(Math.ceil(said), lifetime.minimum), lifetime.maximum)
}

export class Task {
  readonly #parts: Omit<Parts, "call" | "questions">
  readonly #listeners = new Set<() => void>()
  /** The server that runs the tool. */
  readonly server: string | undefined
  #call: ClientCall | undefined
  #questions: OpenQuestions | undefined
  #pollInterval: number = pollInterval.default
  #statusMessage: string | undefined
  #outcome: Outcome | undefined
  #updatedAt: number
  #endedAt = 0

  constructor({ call, questions, ...parts }: Parts) {
    this.#parts = parts
    this.#call = call
    this.#questions = questions
    this.server = call?.server
    this.#updatedAt = parts.createdAt
    if (questions !== undefined) {
      questions.onChange = () => {
        if (this.#outcome === undefined) this.#changed()
      }
    }
  }

  get id(): string {
    return this.#parts.id
  }

  get name(): string {
    return this.#parts.name
  }

  /** The name of its client session. */
  get session(): string {
    return this.#parts.session
  }

  /** What its server asks, while it runs. */
  get questions(): OpenQuestions | undefined {
    return this.#questions
  }

  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  /** Whether it has run for longer than any task may. */
  get isOverdue(): boolean {
    const { createdAt, timeOfDay } = this.#parts
    return this.#outcome === undefined && timeOfDay() > createdAt + lifetime.maximum
  }

  /** Whether its outcome is kept no longer. */
  get isOver(): boolean {
    const { createdAt, timeOfDay } = this.#parts
    return this.#outcome !== undefined && timeOfDay() > createdAt + this.#ttl
  }

  /** How long it is kept, in milliseconds from its creation. That grows while it runs for longer. */
  get #ttl(): number {
    const { createdAt, timeOfDay, ttl } = this.#parts
    const ran = Math.ceil((this.#outcome === undefined ? timeOfDay() : this.#endedAt) - createdAt)
    return this.#outcome === undefined && ran < ttl ? ttl : Math.max(ttl, ran + Math.min(ttl, grace))
  }

  /** Adds a listener of changes, and returns what removes it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Takes the state of the task at its server. */
  report({ pollInterval: asked, statusMessage }: Report): void {
    if (this.#outcome !== undefined) return
    if (Predicate.isNumber(asked) && Number.isFinite(asked)) {
      this.#pollInterval = Math.min(Math.max(Math.round(asked), pollInterval.minimum), pollInterval.maximum)
    }
    const text = Predicate.isString(statusMessage) ? statusMessage.slice(0, longestMessage) : undefined
    if (text === this.#statusMessage) return
    this.#statusMessage = text
    this.#changed()
  }

  /** Ends it. What comes after its end is ignored. */
  end(outcome: Outcome): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    // What it ran on is not kept with its outcome.
    this.#call = undefined
    this.#questions = undefined
    this.#endedAt = this.#parts.timeOfDay()
    this.#statusMessage = outcome._tag === "Failed" ? outcome.error.message : undefined
    this.#changed()
    this.#listeners.clear()
  }

  /** Ends it without an outcome, and cancels its call. */
  cancel(): void {
    const call = this.#call
    this.end({ _tag: "Cancelled" })
    if (call !== undefined) interrupt(call)
  }

  /** Its state as the revision 2025-11-25 writes it, in which an error of a tool is a failure. */
  get legacy(): Readonly<Record<string, unknown>> {
    const outcome = this.#outcome
    const isFailed = outcome?._tag === "Completed" && isToolError(outcome.result)
    return {
      ...this.#common(isFailed ? "failed" : this.#status),
      ttl: this.#ttl,
      pollInterval: this.#pollInterval
    }
  }

  /** Its state as the extension of the revision 2026-07-28 writes it. */
  get modern(): Readonly<Record<string, unknown>> {
    return { ...this.#common(this.#status), ttlMs: this.#ttl, pollIntervalMs: this.#pollInterval }
  }

  /** Its state with what belongs to its status: the questions, the result or the error. */
  get detailed(): Readonly<Record<string, unknown>> {
    const outcome = this.#outcome
    const questions = this.#questions
    if (outcome === undefined) {
      return questions === undefined || questions.size === 0
        ? this.modern
        : { ...this.modern, inputRequests: questions.inputRequests }
    }
    if (outcome._tag === "Completed") return { ...this.modern, result: outcome.result }
    if (outcome._tag === "Cancelled") return this.modern
    const { code, data, message } = outcome.error
    return { ...this.modern, error: { code, message, ...(data === undefined ? {} : { data }) } }
  }

  get #status(): string {
    switch (this.#outcome?._tag) {
      case undefined:
        return (this.#questions?.size ?? 0) > 0 ? "input_required" : "working"
      case "Completed":
        return "completed"
      case "Failed":
        return "failed"
      case "Cancelled":
        return "cancelled"
    }
  }

  #common(status: string): Readonly<Record<string, unknown>> {
    return {
      taskId: this.id,
      status,
      ...(this.#statusMessage === undefined ? {} : { statusMessage: this.#statusMessage }),
      createdAt: textOf(this.#parts.createdAt),
      lastUpdatedAt: textOf(this.#updatedAt)
    }
  }

  #changed(): void {
    this.#updatedAt = Math.max(this.#updatedAt, this.#parts.timeOfDay())
    for (const listener of this.#listeners) listener()
  }
}
