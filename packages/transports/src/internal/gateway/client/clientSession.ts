/**
 * Client session: one client that has initialized, with its requests in flight, its streams, its questions and its sessions upstream.
 *
 * A message that belongs to a request goes to the response of that request. Any other goes to the stream that the client keeps open. A
 * client without a stream receives it in the response of a request in flight.
 */
import type { DeclaredCapabilities } from "@mcp-sessions/core/ClientHandlers"
import type { LogLevel } from "@mcp-sessions/core/Notification"
import * as Effect from "effect/Effect"
import type * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import type { Catalog, ChangedList } from "../catalog/catalog.ts"
import { OwnLists } from "../catalog/ownLists.ts"
import { codes, encodeNotification, RpcError, type RpcId } from "../protocol/rpc.ts"
import type { EventStreams } from "../streams/eventStreams.ts"
import type { KeptMessages } from "../streams/keptMessages.ts"
import { lose, type Outgoing } from "../streams/outgoing.ts"
import { ResumableStreams } from "../streams/resumableStream.ts"
import { listChanged } from "./changedLists.ts"
import { type ClientCall, ClientCalls } from "./clientCall.ts"
import { ClientLog, isAtLeast } from "./clientLog.ts"
import { ClientOutput } from "./clientOutput.ts"
import { ClientQuestions, tooManyQuestions } from "./clientQuestions.ts"
import type { Exchange, SessionLocation } from "./sessionLocation.ts"
import { Subscriptions } from "./subscriptions.ts"
import type { Tasks } from "./tasks.ts"
import type { Upstreams } from "./upstreams.ts"

/** The revision whose clients have no session and no stream of their own. */
export const modernRevision = "2026-07-28"

export interface ClientOptions {
  readonly name: string
  readonly principal: string
  readonly owner: string
  readonly protocolVersion: string
  readonly capabilities: DeclaredCapabilities
  readonly scope: Scope.Closeable
  readonly catalog: Catalog
  readonly streams: EventStreams
  /** What the sessions of all clients keep until these open or resume a stream. */
  readonly kept: KeptMessages
  readonly upstreams: (client: ClientSession) => Upstreams
  readonly tasks: Tasks
  /** Monotonic time in milliseconds. */
  readonly now: () => number
}

export class ClientSession implements SessionLocation {
  readonly name: string
  readonly principal: string
  readonly owner: string
  readonly protocolVersion: string
  readonly capabilities: DeclaredCapabilities
  readonly scope: Scope.Closeable
  readonly upstreams: Upstreams
  /** What the servers offer to this client. */
  readonly lists: OwnLists
  /** The tasks of this process. */
  readonly tasks: Tasks
  /** Its requests in flight. */
  readonly calls = new ClientCalls()
  /** The requests of servers that it has not answered yet. */
  readonly questions: ClientQuestions
  /** The streams to this client. */
  readonly resumable: ResumableStreams
  /** Where messages go that belong to none of its requests. */
  readonly output: ClientOutput
  /** The lowest level of the log messages that it wants. */
  readonly log: ClientLog
  /** The resources that it has subscribed to. */
  readonly subscriptions: Subscriptions
  /** Called when the log level or the subscriptions have changed. */
  readonly changeListeners = new Set<() => void>()
  /** Emits an element when the client says that its roots have changed. */
  readonly rootsChanges: PubSub.PubSub<void>
  /** Called when a list of the client's own sessions has changed. Used by streams of `subscriptions/listen`. */
  readonly listListeners = new Set<(list: ChangedList) => void>()
  /** The number of open streams of subscriptions. */
  listening = 0
  readonly #now: () => number
  #usedAt: number

  constructor(options: ClientOptions, rootsChanges: PubSub.PubSub<void>) {
    this.name = options.name
    this.principal = options.principal
    this.owner = options.owner
    this.protocolVersion = options.protocolVersion
    this.capabilities = options.capabilities
    this.scope = options.scope
    this.rootsChanges = rootsChanges
    this.tasks = options.tasks
    this.lists = new OwnLists(options.catalog)
    const kept = options.kept.of(options.principal)
    const onGap = () => this.#announce()
    this.resumable = new ResumableStreams({ ...options, kept, onGap })
    this.questions = new ClientQuestions(this.resumable.session)
    this.output = new ClientOutput({ kept, onGap, streams: this.resumable })
    this.log = new ClientLog({ scope: options.scope, onChange: () => this.changed() })
    this.subscriptions = new Subscriptions({ scope: options.scope, onChange: () => this.changed() })
    this.#now = options.now
    this.#usedAt = options.now()
    this.upstreams = options.upstreams(this)
  }

  /** Whether the client sends single requests, of revision 2026-07-28. It has no stream of its own. */
  get isModern(): boolean {
    return this.protocolVersion === modernRevision
  }

  /** A session of this process handles its exchanges here. */
  use(exchange: Exchange, here: (client: ClientSession, exchange: Exchange) => void): void {
    here(this, exchange)
  }

  /** How long nothing has used it, in milliseconds. */
  get idleTime(): number {
    return this.calls.size > 0 || this.listening > 0 || this.output.isOpen ? 0 : this.#now() - this.#usedAt
  }

  touch(): void {
    this.#usedAt = this.#now()
  }

  /** Says that the log level or the subscriptions have changed. */
  changed(): void {
    for (const listener of this.changeListeners) listener()
  }

  /** Sends a message that belongs to no request. `server` is the one that it comes from. */
  send(message: Outgoing, server?: string): void {
    // A client without a stream learns of changes where it listens for them.
    if (this.isModern) return lose(message)
    if (this.output.send(message)) return
    for (const call of this.calls.values()) {
      if ((server === undefined || call.server === server) && call.reply.related(message)) return
    }
    this.output.keep(message)
  }

  /** Sends a log message: with the request that asked for it, to a client that has no stream. */
  sendLog(message: string, { call, level, server }: {
    readonly server: string
    readonly level: LogLevel
    /** The id upstream of the request in whose response it arrived, if that is known. */
    readonly call: RpcId | undefined
  }): void {
    if (!this.isModern) return this.send(message, server)
    const asking = call === undefined ? this.calls.onlyAt(server) : this.calls.of(server, call)
    if (asking?.logLevel !== undefined && isAtLeast(level, asking.logLevel)) asking.reply.related(message)
  }

  /** Sends a message that belongs to a request. */
  sendFor(call: ClientCall | undefined, message: Outgoing, server?: string): void {
    if (call?.reply.related(message) !== true) this.send(message, server)
  }

  /** Asks the client, and waits for its answer. Interruption cancels the question. */
  ask(method: string, params: object | undefined, about: {
    readonly server: string
    readonly call: ClientCall | undefined
    /** The key under which the server asks, if it has one. */
    readonly key: string | undefined
  }): Effect.Effect<unknown, RpcError> {
    const call = about.call ?? (this.isModern ? this.calls.onlyAt(about.server) : undefined)
    if (call?.questions !== undefined) return call.questions.ask(method, params, about.key)
    if (this.isModern) {
      return Effect.fail(
        new RpcError({ code: codes.internalError, message: "it is not known which call of the client this is about" })
      )
    }
    return Effect.callback((resume) => {
      const id = this.questions.expect(resume)
      if (id === undefined) return resume(Effect.fail(tooManyQuestions))
      this.sendFor(about.call, this.questions.encode(id, method, params), about.server)
      return Effect.sync(() => {
        const cancelled = this.questions.withdraw(id)
        if (cancelled !== undefined) this.sendFor(about.call, cancelled, about.server)
      })
    })
  }

  /** Notifies of all that may have changed, because notifications were lost. */
  #announce(): void {
    for (const list of ["tools", "resources", "prompts"] as const) this.send(listChanged(list))
    for (const uri of this.subscriptions.uris) this.send(encodeNotification("notifications/resources/updated", { uri }))
  }
}
