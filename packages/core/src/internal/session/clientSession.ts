/**
 * Client session: the session object that users hold.
 *
 * Programs may take a session for each call, so making one costs an allocation: everything else is in the session core. Methods are made on
 * first use, so that they can be taken out of the object: `const { callTool } = session`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ConfigError } from "../../ConfigError.ts"
import type { CallToolResult, Task } from "../../Mcp.ts"
import type { LogLevel } from "../../Notification.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { CallToolOptions, List, ProgressOptions, Session, SessionInfo } from "../../Session.ts"
import { type Reason, SessionClosed, SessionError, Unsupported } from "../../SessionError.ts"
import { BadOptions, checkCall, type Checked } from "../config/callOptions.ts"
import { callRules, completeRules, listRules, requestRules } from "../config/optionRules.ts"
import type { LiveConnection } from "../connection/liveConnection.ts"
import type { ItemsOfLists, ListKind } from "../notifications/listCache.ts"
import type { Execute } from "../request/execute.ts"
import type { InFlight, OnEnd } from "../request/inFlightRecord.ts"
import { probe, read, type RequestOperation } from "../request/operation.ts"
import { pingOperation } from "../request/ping.ts"
import { withReports } from "../request/progress.ts"
import type { CallerPolicy } from "../request/retryLoop.ts"
import { callAsTask } from "../request/task.ts"
import { recorded, tagErrors, type ToolLedger } from "../request/toolLedger.ts"
import type { Writes } from "../request/writes.ts"
import type { Identity } from "./identity.ts"
import { decodeCompletion, decodePromptResult, decodeResourceResult } from "./results.ts"
import type { SessionCore } from "./sessionCore.ts"
import { changes, notifications, updates } from "./sessionStreams.ts"
import { toolCall } from "./toolCall.ts"
import { typed } from "./typedResult.ts"
import { withMeta } from "./withMeta.ts"

/** An operation as a session offers it: without options it does not fail with a `ConfigError`, which the compiler cannot see here. */
const offered = <M extends (...args: never) => unknown>(general: (...args: Parameters<M>) => ReturnType<M>): M =>
  general as unknown as M

interface Parts {
  readonly core: SessionCore
  readonly retry: RetryPolicy
  readonly ended: Deferred.Deferred<void>
  /** With a ledger, the session connects with one attempt, and records the tools that are called on it. */
  readonly ledger?: ToolLedger | undefined
}

/** A session object, valid until `ended` completes. */
export class ClientSession implements Session, CallerPolicy {
  readonly #parts: Parts
  readonly retry: RetryPolicy
  readonly connectsOnce: boolean
  #callTool: Session["callTool"] | undefined
  #readResource: Session["readResource"] | undefined
  #getPrompt: Session["getPrompt"] | undefined
  #complete: Session["complete"] | undefined
  #ping: Session["ping"] | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.retry = parts.retry
    this.connectsOnce = parts.ledger !== undefined
  }

  /** Another session object on the core of a session; any other implementation is returned as it is. */
  static fork({ ended, session }: { readonly session: Session; readonly ended: Deferred.Deferred<void> }): Session {
    if (!(#parts in session)) return session
    const { core, retry } = session.#parts
    return new ClientSession({ core, retry, ended })
  }

  /** The identity of a session; `undefined` for any other implementation. */
  static identityOf(session: Session): Identity | undefined {
    return #parts in session ? session.#parts.core.identity() : undefined
  }

  /** The number of requests in flight on the connection of a session. */
  static inFlightOf(session: Session): number {
    return #parts in session ? session.#parts.core.managed.current?.inFlight ?? 0 : 0
  }

  /** A ping that does not count as an operation. */
  static probe(session: Session): Effect.Effect<void, SessionError> {
    return #parts in session ? session.#execute({ ...pingOperation, kind: probe }) : session.ping
  }

  readonly isEnded = (): boolean => Deferred.isDoneUnsafe(this.#parts.ended)

  get server(): string {
    return this.#managed.definition.name
  }

  get connect() {
    const { ledger } = this.#parts
    const acquire = this.connectsOnce ? this.#managed.acquireOnce : this.#managed.acquire
    const connected = Effect.flatMap(acquire, (live) => this.#infoOf(live))
    return this.#whileOpen(ledger === undefined ? connected : tagErrors({ effect: connected, ledger }))
  }

  get generation() {
    return Effect.sync(() => this.#managed.generation)
  }

  get state() {
    return Effect.sync(() => this.#managed.state)
  }

  get stateChanges() {
    return this.#managed.stateChanges
  }

  get listTools(): Session["listTools"] {
    return this.#list("tools")
  }

  get listResources(): Session["listResources"] {
    return this.#list("resources")
  }

  get listResourceTemplates(): Session["listResourceTemplates"] {
    return this.#list("resourceTemplates")
  }

  get listPrompts(): Session["listPrompts"] {
    return this.#list("prompts")
  }

  get callTool(): Session["callTool"] {
    return this.#callTool ??= offered((tool, args = {}, options) => {
      const checked = checkCall(callRules, options, this.server)
      if (checked instanceof BadOptions) return Effect.fail(checked.error)
      const called = checked?.task === undefined
        ? this.#withProgress(
          checked?.onProgress,
          (onProgress) => this.#execute(toolCall(this.#parts.core, tool, args, checked, onProgress))
        )
        : this.#callAsTask(tool, args, checked)
      const schema = checked?.schema
      return schema === undefined ? called : typed({ called, server: this.server, tool, schema })
    })
  }

  get readResource(): Session["readResource"] {
    return this.#readResource ??= offered((uri, options) =>
      this.#request("resources/read", { uri }, decodeResourceResult, options)
    )
  }

  get getPrompt(): Session["getPrompt"] {
    return this.#getPrompt ??= offered((prompt, args, options) =>
      this.#request(
        "prompts/get",
        args === undefined ? { name: prompt } : { name: prompt, arguments: args },
        decodePromptResult,
        options
      )
    )
  }

  get complete(): Session["complete"] {
    return this.#complete ??= offered((reference, argument, options) => {
      const checked = checkCall(completeRules, options, this.server)
      if (checked instanceof BadOptions) return Effect.fail(checked.error)
      const { context, meta, retry, timeout } = checked ?? {}
      const params = { ref: reference, argument, ...(context === undefined ? {} : { context: { arguments: context } }) }
      return this.#execute({
        kind: read,
        method: "completion/complete",
        params: withMeta(params, meta),
        timeout,
        retry,
        decode: decodeCompletion
      })
    })
  }

  get ping(): Session["ping"] {
    return this.#ping ??= this.#execute({ ...pingOperation, kind: read })
  }

  get notifications() {
    return notifications(this.#parts)
  }

  get subscribe(): Session["subscribe"] {
    return (uri) => updates(this.#parts, uri)
  }

  get watchTools() {
    return changes(this.#parts, "tools")
  }

  get watchResources() {
    return changes(this.#parts, "resources")
  }

  get watchResourceTemplates() {
    return changes(this.#parts, "resourceTemplates")
  }

  get watchPrompts() {
    return changes(this.#parts, "prompts")
  }

  get setLogLevel(): Session["setLogLevel"] {
    const method = "logging/setLevel"
    return (level: LogLevel) =>
      this.#execute({
        kind: read,
        method,
        run: ({ connection }, { capabilities }): Effect.Effect<void, Reason> =>
          capabilities.logging === undefined
            ? Effect.fail(new Unsupported({ method, description: "the server does not send log messages" }))
            : Effect.tap(connection.setLogLevel(level), () =>
              Effect.sync(() => {
                this.#managed.logLevel = level
              }))
      })
  }

  /** The core of a session; `undefined` for any other implementation. */
  static coreOf(session: Session): SessionCore | undefined {
    return #parts in session ? session.#parts.core : undefined
  }

  /** Starts a tool call without a fiber, if that is possible; `undefined` otherwise, and for any other implementation. */
  static startCall(options: {
    readonly session: Session
    readonly tool: string
    readonly args: Record<string, unknown>
    readonly options: Checked<CallToolOptions> | undefined
    /** The record of the operation that the call is part of. */
    readonly writes?: Writes | undefined
    readonly onProgress?: RequestOperation<CallToolResult>["onProgress"]
    readonly onEnd: OnEnd<CallToolResult, SessionError>
  }): InFlight | undefined {
    const { args, onEnd, onProgress, session, tool, writes } = options
    if (!(#parts in session) || session.connectsOnce) return undefined
    const { core } = session.#parts
    const operation = toolCall(core, tool, args, options.options, onProgress)
    return core.executor.start(operation, session, writes, onEnd)
  }

  get #managed() {
    return this.#parts.core.managed
  }

  get #execute(): Execute {
    const { core: { executor }, ledger } = this.#parts
    const execute: Execute = (operation) => executor.execute(operation, this)
    return ledger === undefined ? execute : recorded({ execute, ledger })
  }

  #fail(reason: Reason): SessionError {
    return new SessionError({ server: this.server, reason })
  }

  #whileOpen<A>(effect: Effect.Effect<A, SessionError>): Effect.Effect<A, SessionError> {
    return Effect.suspend(() => this.isEnded() ? Effect.fail(this.#fail(new SessionClosed())) : effect)
  }

  #infoOf({ connection, generation, info }: LiveConnection): Effect.Effect<SessionInfo, SessionError> {
    return info === undefined
      ? Effect.die("a session was given out before its handshake")
      : Effect.succeed({
        ...info,
        server: this.server,
        generation,
        warnings: [...connection.warnings(), ...this.#parts.core.hub.warnings(), ...this.#parts.core.lists.warnings()]
      })
  }

  #request<A>(
    method: string,
    params: Record<string, unknown>,
    decode: RequestOperation<A>["decode"],
    options: ProgressOptions | undefined
  ): Effect.Effect<A, SessionError | ConfigError> {
    const checked = checkCall(requestRules, options, this.server)
    if (checked instanceof BadOptions) return Effect.fail(checked.error)
    const { meta, onSent, retry, timeout } = checked ?? {}
    const sent = withMeta(params, meta)
    return this.#withProgress(
      checked?.onProgress,
      (onProgress) => this.#execute({ kind: read, method, params: sent, timeout, retry, onProgress, onSent, decode })
    )
  }

  #withProgress<A>(
    handler: ProgressOptions["onProgress"],
    operation: (onProgress: RequestOperation<A>["onProgress"]) => Effect.Effect<A, SessionError>
  ): Effect.Effect<A, SessionError> {
    if (handler === undefined) return operation(undefined)
    const { totalTimeout } = this.#managed.definition.config
    return withReports({ handler, what: "progress", limit: totalTimeout, from: "start", operation })
  }

  #list<K extends ListKind>(kind: K): List<ItemsOfLists[K]> {
    return offered<List<ItemsOfLists[K]>>((options) => {
      const checked = checkCall(listRules, options, this.server)
      return checked instanceof BadOptions
        ? Effect.fail(checked.error)
        : this.#parts.core.lists.list(kind, { ...checked, execute: this.#execute })
    })
  }

  #callAsTask(
    tool: string,
    args: Record<string, unknown>,
    options: Checked<CallToolOptions>
  ): Effect.Effect<CallToolResult, SessionError> {
    const { task } = options
    const { totalTimeout } = this.#managed.definition.config
    const called = (onTask: ((task: Task) => void) | undefined) =>
      this.#withProgress<CallToolResult>(options.onProgress, (onProgress) =>
        callAsTask({
          operation: toolCall(this.#parts.core, tool, args, options, onProgress),
          execute: this.#execute,
          server: this.server,
          connection: () => this.#managed.current?.connection,
          ttl: task?.ttl,
          onTask
        }))
    const handler = task?.onTask
    return handler === undefined
      ? called(undefined)
      : withReports({ handler, what: "the status of a task", limit: totalTimeout, from: "end", operation: called })
  }
}
