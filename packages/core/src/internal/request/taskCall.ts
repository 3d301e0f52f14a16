/**
 * Task call: a tool call that the server has accepted as a task, as the poll loops of both eras use it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Call } from "../../ClientHandlers.ts"
import { type Connection, type Era, tasksExtension } from "../../Connection.ts"
import type { CallToolResult, Task } from "../../Mcp.ts"
import { InvalidResult, type Reason, SessionError } from "../../SessionError.ts"
import type { Execute } from "./execute.ts"
import { read, type RequestOperation, type ToolCall } from "./operation.ts"
import { decodeTask, isOver, isSameStatus } from "./taskStatus.ts"

type Params = Record<string, unknown>

/** The key of `_meta` under which a request of 2026-07-28 declares what the client can do. */
const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities"

/** Declares in the params of a request that the client knows tasks. The transport adds the other capabilities of the client. */
export const declareTasks = (params: Params): Params => ({
  ...params,
  _meta: { ...params._meta as Params | undefined, [capabilitiesKey]: { extensions: { [tasksExtension]: {} } } }
})

export interface TaskCallOptions {
  readonly execute: Execute
  readonly server: string
  /** The call of the tool. Its timeout and retry policy hold for each request about the task, too. */
  readonly operation: RequestOperation<CallToolResult> & { readonly kind: ToolCall }
  /** The live connection, if there is one. */
  readonly connection: () => Connection | undefined
  readonly onTask: ((task: Task) => void) | undefined
}

export class TaskCall {
  readonly #options: TaskCallOptions
  readonly era: Era
  /** The call that has become the task, as handlers learn of it; `undefined` if its JSON-RPC id is not known. */
  readonly call: Call | undefined
  #latest: Task

  constructor(options: TaskCallOptions, accepted: {
    readonly era: Era
    readonly task: Task
    /** The JSON-RPC id of the call. */
    readonly id: Call["id"] | undefined
  }) {
    this.#options = options
    this.era = accepted.era
    const { id } = accepted
    this.call = id === undefined ? undefined : { id, method: options.operation.method, tool: this.tool }
    this.#latest = accepted.task
    options.onTask?.(accepted.task)
  }

  get tool(): string {
    return this.#options.operation.kind.tool
  }

  /** The latest status. */
  get latest(): Task {
    return this.#latest
  }

  get isOver(): boolean {
    return isOver(this.#latest)
  }

  connection(): Connection | undefined {
    return this.#options.connection()
  }

  fail(reason: Reason): Effect.Effect<never, SessionError> {
    return Effect.fail(new SessionError({ server: this.#options.server, reason }))
  }

  /**
   * Sends a request about the task. All of them may be repeated: they read, or do nothing where they have been done. `asks`: the server may ask the
   * user on behalf of it. `isOpenEnded`: it is answered only after the user has answered.
   */
  request<A>(options: {
    readonly method: string
    readonly params?: Params
    readonly asks?: boolean
    readonly isOpenEnded?: boolean
    readonly decode: (result: unknown) => Exit.Exit<A, Reason>
  }): Effect.Effect<A, SessionError> {
    const { execute, operation: { onSent, retry, timeout } } = this.#options
    const { asks = false, decode, isOpenEnded = false, method } = options
    const params = { taskId: this.#latest.taskId, ...options.params }
    return execute<A>({
      kind: read,
      isPart: true,
      method,
      params: this.era === "modern" ? declareTasks(params) : params,
      timeout,
      isOpenEnded,
      retry,
      onSent: asks ? onSent : undefined,
      decode
    })
  }

  /** Asks for the status, and reports it if it says something new. Succeeds with the whole response. */
  readonly poll: Effect.Effect<Params, SessionError> = Effect.suspend(() => {
    const method = "tasks/get"
    return Effect.flatMap(
      this.request({ method, decode: (value) => this.#decode(method, value) }),
      ({ task, value }) =>
        Effect.sync(() => {
          const isNews = !isSameStatus(this.#latest, task)
          this.#latest = task
          if (isNews) this.#options.onTask?.(task)
          return value
        })
    )
  })

  #decode(method: string, value: unknown): Exit.Exit<{ readonly task: Task; readonly value: Params }, Reason> {
    const decoded = decodeTask({ value, era: this.era, method })
    if (Exit.isFailure(decoded)) return Exit.failCause(decoded.cause)
    return decoded.value.taskId === this.#latest.taskId
      ? Exit.succeed({ task: decoded.value, value: value as Params })
      : Exit.fail(new InvalidResult({ method, description: `the result of ${method} is another task` }))
  }
}
