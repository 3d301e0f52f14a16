/**
 * The handle that users hold on a session.
 *
 * Programs take one for each call, so making one has to cost next to nothing: all that handles have in common is made once, and what
 * is left is two fields. Its members are getters, so that they can be taken out of it: `const { callTool } = session`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { CallToolResult, Completion } from "../../Mcp.ts"
import type { Listening, Notification, ResourceUpdated } from "../../Notification.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import type { CallToolOptions, ListOptions, ProgressOptions, Session, SessionInfo } from "../../Session.ts"
import {
  InvalidResult,
  NotInitialized,
  type Reason,
  SessionClosed,
  SessionError,
  Unsupported
} from "../../SessionError.ts"
import { signOfLife } from "../connection/liveness.ts"
import type { Live } from "../connection/managedConnection.ts"
import type { ListKind } from "../notifications/listCache.ts"
import type { Identity } from "../registry/identity.ts"
import type { Perform, Via } from "../request/execute.ts"
import { handled } from "../request/progress.ts"
import { callAsTask } from "../request/task.ts"
import { recorded, tagError, tagErrors, type ToolLedger } from "../request/toolLedger.ts"
import type { SessionCore } from "./sessionCore.ts"

/** How long a server may take to say what a tool does when that is asked for after its call has failed. */
const hintPatience = "5 seconds"

const read = Effect.succeed(true)
const unsafe = Effect.succeed(false)

/** How many notifications wait for a slow reader. */
const waitingNotifications = 256

/** Whether a change there is one of what was subscribed to: the resource itself, or one below it. */
const isAt = (changed: string, subscribed: string): boolean =>
  changed.startsWith(subscribed) &&
  (changed.length === subscribed.length || /[/?#]$/.test(subscribed) || /^[/?#]/.test(changed.slice(subscribed.length)))

/** As far as a program relies on it without looking: a list of content blocks that say what they are. */
const isToolResult = (result: unknown): result is CallToolResult =>
  Predicate.isObject(result) && "content" in result && Array.isArray(result.content) &&
  result.content.every((block: unknown) =>
    Predicate.isObject(block) && "type" in block && typeof block.type === "string"
  )

const noToolResult = (method: string, tool: string) =>
  new InvalidResult({ method, description: `the result of ${tool} is no tool result` })

const isCompleteResult = (result: unknown): result is { readonly completion: Completion } =>
  Predicate.isObject(result) && "completion" in result && Predicate.isObject(result.completion) &&
  "values" in result.completion && Array.isArray(result.completion.values) &&
  result.completion.values.every(Predicate.isString)

/** What handles are made of. */
interface Parts {
  readonly shared: SessionCore
  readonly retry: RetryPolicy
  readonly ended: Deferred.Deferred<void>
  /** With it, the session makes one connect attempt and records its tool calls. */
  readonly ledger?: ToolLedger | undefined
}

/** A handle, valid until `ended` completes. */
export class ClientSession implements Session {
  readonly #parts: Parts
  readonly #perform: Perform

  constructor(parts: Parts) {
    const { ended, retry, shared: { deliver }, ledger } = parts
    const via: Via = { retry, ended, isOnce: ledger !== undefined }
    const perform: Perform = (operation) => deliver(operation, via)
    this.#parts = parts
    this.#perform = ledger === undefined ? perform : recorded({ perform, ledger })
  }

  /** Another handle on what a session is on. A session that is none of these is given back as it is. */
  static fork({ ended, session }: { readonly session: Session; readonly ended: Deferred.Deferred<void> }): Session {
    if (!(#parts in session)) return session
    const { retry, shared } = session.#parts
    return new ClientSession({ shared, retry, ended })
  }

  /** As whom a session is connected; `undefined` of one that is none of these. */
  static identityOf(session: Session): Identity | undefined {
    return #parts in session ? session.#parts.shared.identity() : undefined
  }

  /** How many requests are under way on the connection of a session. */
  static inFlightOf(session: Session): number {
    return #parts in session ? session.#managed.peek()?.inFlight ?? 0 : 0
  }

  /** A ping that is no operation of a program. */
  static probe(session: Session): Effect.Effect<void, SessionError> {
    return #parts in session ? session.#ping("probe") : session.ping
  }

  get server(): string {
    return this.#managed.definition.name
  }

  get info() {
    const { ledger } = this.#parts
    const { acquire, acquireOnce } = this.#managed
    return this.#whileOpen(
      ledger === undefined
        ? Effect.flatMap(acquire, (live) => this.#infoOf(live))
        : tagErrors({ effect: Effect.flatMap(acquireOnce, (live) => this.#infoOf(live)), ledger })
    )
  }

  get generation() {
    return Effect.sync(this.#managed.generation)
  }

  get phase() {
    return SubscriptionRef.get(this.#managed.phases)
  }

  get phases() {
    return Stream.takeUntil(SubscriptionRef.changes(this.#managed.phases), ({ _tag }) => _tag === "Closed")
  }

  get initialize() {
    return this.#whileOpen(Effect.flatMap(this.#managed.initialize, (live) => this.#infoOf(live)))
  }

  get listTools() {
    return this.#list("tools")
  }

  get callTool(): Session["callTool"] {
    return (tool, args = {}, options) => this.#callTool(tool, args, options)
  }

  get listResources() {
    return this.#list("resources")
  }

  get listResourceTemplates() {
    return this.#list("resourceTemplates")
  }

  get readResource(): Session["readResource"] {
    return (uri, options) => this.#request("resources/read", { uri }, options)
  }

  get listPrompts() {
    return this.#list("prompts")
  }

  get getPrompt(): Session["getPrompt"] {
    return (prompt, args, options) =>
      this.#request("prompts/get", args === undefined ? { name: prompt } : { name: prompt, arguments: args }, options)
  }

  get complete(): Session["complete"] {
    return (reference, argument, options) =>
      this.#perform({
        method: "completion/complete",
        tool: undefined,
        isSafe: read,
        timeout: options?.timeout,
        retry: options?.retry,
        run: ({ connection }) =>
          Effect.filterMapOrFail(
            connection.request({
              method: "completion/complete",
              params: {
                ref: reference,
                argument,
                ...(options?.context === undefined ? {} : { context: { arguments: options.context } })
              }
            }),
            (result) => isCompleteResult(result) ? Result.succeed(result.completion) : Result.failVoid,
            () => new InvalidResult({ method: "completion/complete", description: "the result is no list of values" })
          )
      })
  }

  get notifications() {
    return this.#listen(undefined)
  }

  get subscribe(): Session["subscribe"] {
    return (uri) =>
      Stream.filter(
        this.#listen(uri),
        (notification): notification is Listening | ResourceUpdated =>
          notification._tag === "Listening" || (notification._tag === "ResourceUpdated" && isAt(notification.uri, uri))
      )
  }

  get watchTools() {
    return this.#watch("tools")
  }

  get watchResources() {
    return this.#watch("resources")
  }

  get watchResourceTemplates() {
    return this.#watch("resourceTemplates")
  }

  get watchPrompts() {
    return this.#watch("prompts")
  }

  get setLogLevel(): Session["setLogLevel"] {
    return (level) =>
      this.#perform({
        method: "logging/setLevel",
        tool: undefined,
        isSafe: read,
        timeout: undefined,
        run: ({ connection, info }) =>
          info?.capabilities.logging === undefined
            ? Effect.fail(new Unsupported({ method: "logging/setLevel", description: "the server does not log" }))
            : Effect.tap(connection.setLogLevel(level), () =>
              Effect.sync(() => {
                this.#managed.logLevel = level
              }))
      })
  }

  get ping() {
    return this.#ping(undefined)
  }

  get #managed() {
    return this.#parts.shared.managed
  }

  #fail(reason: Reason): SessionError {
    return new SessionError({ server: this.server, reason })
  }

  #ping(role: "probe" | undefined): Effect.Effect<void, SessionError> {
    return this.#perform({ method: "ping", role, tool: undefined, isSafe: read, timeout: undefined, run: signOfLife })
  }

  #whileOpen<A>(effect: Effect.Effect<A, SessionError>): Effect.Effect<A, SessionError> {
    return Effect.suspend(() =>
      Deferred.isDoneUnsafe(this.#parts.ended) ? Effect.fail(this.#fail(new SessionClosed())) : effect
    )
  }

  #infoOf({ connection, generation, info }: Live): Effect.Effect<SessionInfo, SessionError> {
    return info === undefined
      ? Effect.fail(this.#fail(new NotInitialized()))
      : Effect.succeed({ ...info, server: this.server, generation, warnings: connection.warnings() })
  }

  #request<A>(
    method: string,
    params: Record<string, unknown>,
    options: ProgressOptions | undefined
  ): Effect.Effect<A, SessionError> {
    return handled({
      handle: options?.onProgress,
      operation: (report) =>
        this.#perform({
          method,
          tool: undefined,
          isSafe: read,
          timeout: options?.timeout,
          retry: options?.retry,
          report,
          run: ({ connection }, onProgress) =>
            connection.request({ method, params, onProgress }) as Effect.Effect<A, Reason>
        })
    })
  }

  #list<K extends ListKind>(kind: K) {
    const { lists } = this.#parts.shared
    return (options?: ListOptions) => lists.list(kind, { ...options, perform: this.#perform })
  }

  /** What a trusted server says of a tool. Where it was not asked for its tools on this connection, it is now. */
  #isSafeTool(tool: string): Effect.Effect<boolean> {
    const { shared: { lists, performOnce, managed } } = this.#parts
    if (!managed.definition.config.trusted) return unsafe
    const known = () => managed.safeTools?.generation === managed.generation() ? managed.safeTools.names : undefined
    // Whether the call may be made again is asked after it has ended, and its handle with it perhaps.
    const learn = Effect.ignore(lists.list("tools", { refresh: true, perform: performOnce, timeout: hintPatience }))
    return Effect.suspend(() => known() === undefined ? learn : Effect.void)
      .pipe(Effect.map(() => known()?.has(tool) ?? false))
  }

  #callTool(
    tool: string,
    args: Record<string, unknown>,
    options: CallToolOptions | undefined
  ): Effect.Effect<CallToolResult, SessionError> {
    const isSafe = options?.idempotent === undefined
      ? this.#isSafeTool(tool)
      : options.idempotent
      ? read
      : unsafe
    const { retry, task, timeout } = options ?? {}
    if (task !== undefined) {
      const called = callAsTask({
        perform: this.#perform,
        server: this.server,
        tool,
        args,
        isSafe,
        timeout,
        retry,
        ttl: task.ttl,
        onTask: task.onTask
      })
      return Effect.filterOrFail(called, isToolResult, () => this.#fail(noToolResult("tasks/result", tool)))
    }
    return handled({
      handle: options?.onProgress,
      operation: (report) =>
        this.#perform({
          method: "tools/call",
          tool,
          isSafe,
          timeout,
          retry,
          report,
          run: ({ connection }, onProgress, onSent) =>
            Effect.filterOrFail(
              connection.request({
                method: "tools/call",
                params: { name: tool, arguments: args },
                onProgress,
                onSent
              }),
              isToolResult,
              () => noToolResult("tools/call", tool)
            )
        })
    })
  }

  /** Ends a stream with the session that it was taken from. */
  #streamWhileOpen<A>(stream: Stream.Stream<A, SessionError>): Stream.Stream<A, SessionError> {
    const { ended, ledger } = this.#parts
    const told = ledger === undefined ? stream : Stream.mapError(stream, (error) => tagError({ error, ledger }))
    return Stream.interruptWhen(
      told,
      Effect.flatMap(Deferred.await(ended), () => Effect.fail(this.#fail(new SessionClosed())))
    )
  }

  #listen(uri: string | undefined): Stream.Stream<Notification, SessionError> {
    const { managed, subscriptions } = this.#parts.shared
    return this.#streamWhileOpen(Stream.unwrap(Effect.gen(function*() {
      const queue = yield* managed.hub.subscribe({ capacity: waitingNotifications })
      const { failed } = yield* subscriptions.want({
        uri,
        onListening: (listening) => Queue.offerUnsafe(queue, listening)
      })
      const begun: Listening = { _tag: "Listening", generation: managed.generation() }
      return Stream.make<[Notification]>(begun).pipe(
        Stream.concat(Stream.fromQueue(queue)),
        Stream.interruptWhen(failed)
      )
    })))
  }

  #watch<K extends ListKind>(kind: K) {
    return this.#streamWhileOpen(this.#parts.shared.lists.watch(kind))
  }
}
