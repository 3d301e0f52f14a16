/**
 * Client session: one client that has initialized, with its requests in flight, its stream, its questions and its sessions upstream.
 *
 * A message that belongs to a request goes to the response of that request. Any other goes to the stream that the client keeps open. A
 * client without a stream receives it in the response of a request in flight.
 */
import type { DeclaredCapabilities } from "@mcp-sessions/core/ClientHandlers"
import { type LogLevel, logLevels } from "@mcp-sessions/core/Notification"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import type { ServerResponse } from "node:http"
import type { Catalog, ChangedList } from "./catalog.ts"
import type { EventStreams } from "./eventStreams.ts"
import type { OpenQuestions } from "./openQuestions.ts"
import { OwnLists } from "./ownLists.ts"
import { type KeptMessages, ResumableStream, ResumableStreams } from "./resumableStream.ts"
import { codes, encodeNotification, encodeRequest, RpcError, type RpcId } from "./rpc.ts"
import type { Exchange, Seat } from "./seat.ts"
import type { TaskPlace, Tasks } from "./tasks.ts"
import type { Upstreams } from "./upstreams.ts"

/** The revision whose clients have no session and no stream of their own. */
export const modernRevision = "2026-07-28"

/** How many messages wait for a client that has no stream open. Beyond it, the oldest are dropped. */
const backlogLimit = 64

/** How many questions of servers a client may leave unanswered. */
const questionLimit = 32

/** Receives what belongs to a request: messages before its response, and the response. */
export interface Reply {
  /** Sends a message that belongs to the request; `false` if that is not possible. */
  related(message: string): boolean
  /** Takes the response; `undefined` for a request that was cancelled, which has none. `status` is that of HTTP, if it is not 200. */
  settle(message: string | undefined, status?: number): void
  /** Called from time to time while the request is in flight. */
  linger?(): void
}

/** Whether a level is another one or more severe. */
export const isAtLeast = (level: LogLevel, lowest: LogLevel): boolean =>
  logLevels.indexOf(level) >= logLevels.indexOf(lowest)

/** Reads a level. */
export const levelOf = (value: unknown): LogLevel | undefined => logLevels.find((level) => level === value)

/** A request of the client that is in flight. */
export interface ClientCall {
  readonly id: RpcId
  readonly progressToken: RpcId | undefined
  readonly reply: Reply
  /** What its server asks, where the client fetches that: in the result of the call, or as the state of its task. */
  questions?: OpenQuestions | undefined
  /** Its place among the tasks, if it may become one. */
  place?: TaskPlace | undefined
  /** What it runs on: a fiber, or a request of its own that can be dropped. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  drop: (() => void) | undefined
  /** Whether the client cancelled it, and so wants no response. */
  isCancelled: boolean
  /** The lowest level of the log messages that the request asks for. Only of clients that have no stream. */
  readonly logLevel?: LogLevel | undefined
  /** The server that handles it, and the ids of its requests there. */
  server: string | undefined
  readonly upstreamIds: Array<RpcId>
}

/** Makes a call that runs on nothing yet. */
export const makeCall = (parts: Pick<ClientCall, "id" | "progressToken" | "reply">): ClientCall => ({
  ...parts,
  fiber: undefined,
  drop: undefined,
  isCancelled: false,
  server: undefined,
  upstreamIds: []
})

/** Interrupts a call. Returns the fiber to wait for; without one, the call has ended. */
export const interrupt = ({ drop, fiber }: ClientCall): Fiber.Fiber<unknown, unknown> | undefined => {
  drop?.()
  fiber?.interruptUnsafe()
  return fiber
}

export interface ClientOptions {
  readonly name: string
  readonly principal: string
  readonly owner: string
  readonly protocolVersion: string
  readonly capabilities: DeclaredCapabilities
  readonly scope: Scope.Closeable
  readonly catalog: Catalog
  readonly streams: EventStreams
  /** What the sessions of all clients keep for streams that broke. */
  readonly kept: KeptMessages
  readonly upstreams: (client: ClientSession) => Upstreams
  readonly tasks: Tasks
  /** Monotonic time in milliseconds. */
  readonly now: () => number
}

export class ClientSession implements Seat {
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
  /** The lowest level of log messages that the client wants; `undefined` until it sets one. */
  logLevel: LogLevel | undefined
  readonly calls = new Map<RpcId, ClientCall>()
  /** The subscriptions by URI. */
  readonly subscriptions = new Map<string, Fiber.Fiber<unknown, unknown>>()
  /** Called when the log level or the subscriptions have changed. */
  readonly changeListeners = new Set<() => void>()
  /** Emits an element when the client says that its roots have changed. */
  readonly rootsChanges: PubSub.PubSub<void>
  /** Called when a list has changed for the client's own sessions. For the streams of a client that has none of its own. */
  readonly listListeners = new Set<(list: ChangedList) => void>()
  /** Writes all messages, where the client has one channel for everything. */
  output: ((message: string) => void) | undefined
  /** The number of open streams of subscriptions. */
  listening = 0
  readonly #now: () => number
  readonly #questions = new Map<RpcId, (answer: Effect.Effect<unknown, RpcError>) => void>()
  #lastQuestion = 0
  /** The streams to this client. */
  readonly resumable: ResumableStreams
  #stream: ResumableStream | undefined
  #backlog: Array<string> = []
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
    this.resumable = new ResumableStreams(options)
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
    return this.output !== undefined || this.calls.size > 0 || this.listening > 0 || this.#stream?.isOpen === true
      ? 0
      : this.#now() - this.#usedAt
  }

  touch(): void {
    this.#usedAt = this.#now()
  }

  /** Says that the log level or the subscriptions have changed. */
  changed(): void {
    for (const listener of this.changeListeners) listener()
  }

  /**
   * Opens the stream of the client; the response that it had before ends. With the id of an event, goes on with the stream of that event instead.
   * Returns why that is not possible: the ids of the requests whose responses another process had. The stream of the client that another
   * process had begins anew.
   */
  openStream(response: ServerResponse, lastEventId?: string): ReadonlyArray<RpcId> | "over" | "unknown" | undefined {
    response.once("close", () => this.touch())
    const resumed = lastEventId === undefined ? "elsewhere" : this.resumable.resume(lastEventId, response)
    if (resumed !== "elsewhere" && !(resumed instanceof ResumableStream)) return resumed
    let opened: ResumableStream
    if (resumed === "elsewhere") {
      this.#stream?.attach(response)
      opened = this.#stream ??= this.resumable.begin(response, "client")
    } else opened = resumed
    const backlog = this.#backlog
    this.#backlog = []
    for (const message of backlog) if (!opened.send(message)) this.#backlog.push(message)
    return undefined
  }

  /** Writes no more to a response, which another node goes on with. */
  release(response: ServerResponse): void {
    this.#stream?.detach(response)
  }

  /** Sends a message that belongs to no request. `server` is the one that it comes from. */
  send(message: string, server?: string): void {
    // A client without a stream learns of changes where it listens for them.
    if (this.isModern) return
    if (this.output !== undefined) return this.output(message)
    if (this.#stream?.send(message) === true) return
    for (const call of this.calls.values()) {
      if ((server === undefined || call.server === server) && call.reply.related(message)) return
    }
    this.#backlog.push(message)
    if (this.#backlog.length > backlogLimit) this.#backlog.shift()
  }

  /** Sends a message that the client can do without, if it has a stream open. */
  offer(message: string): void {
    if (this.output !== undefined) this.output(message)
    else this.#stream?.send(message)
  }

  /** Sets the lowest level of the log messages that the client's own sessions ask for. */
  setLogLevel(level: LogLevel): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.logLevel = level
      this.changed()
      return Effect.forEach(this.upstreams.own, (session) => Effect.ignore(session.setLogLevel(level)), {
        concurrency: "unbounded",
        discard: true
      })
    })
  }

  /** Sends a log message: with the request that asked for it, to a client that has no stream. */
  sendLog(message: string, { call, level, server }: {
    readonly server: string
    readonly level: LogLevel
    /** The id upstream of the request in whose response it arrived, if that is known. */
    readonly call: RpcId | undefined
  }): void {
    if (!this.isModern) return this.send(message, server)
    const asking = call === undefined ? this.#onlyCallAt(server) : this.callOf(server, call)
    if (asking?.logLevel !== undefined && isAtLeast(level, asking.logLevel)) asking.reply.related(message)
  }

  /** Sends a message that belongs to a request. */
  sendFor(call: ClientCall | undefined, message: string, server?: string): void {
    if (call?.reply.related(message) !== true) this.send(message, server)
  }

  /** The call that a request of a server belongs to; `undefined` if that is not known. */
  callOf(server: string, upstreamId: RpcId | undefined): ClientCall | undefined {
    if (upstreamId === undefined) return undefined
    for (const call of this.calls.values()) {
      if (call.server === server && call.upstreamIds.includes(upstreamId)) return call
    }
    return undefined
  }

  /** Asks the client, and waits for its answer. Interruption cancels the question. */
  ask(method: string, params: object | undefined, about: {
    readonly server: string
    readonly call: ClientCall | undefined
    /** The key under which the server asks, if it has one. */
    readonly key: string | undefined
  }): Effect.Effect<unknown, RpcError> {
    const call = about.call ?? (this.isModern ? this.#onlyCallAt(about.server) : undefined)
    if (call?.questions !== undefined) return call.questions.ask(method, params, about.key)
    if (this.isModern) {
      return Effect.fail(
        new RpcError({ code: codes.internalError, message: "it is not known which call of the client this is about" })
      )
    }
    return Effect.callback((resume) => {
      const id = this.expect(resume)
      if (id === undefined) {
        return resume(Effect.fail(
          new RpcError({ code: codes.limited, message: "too many earlier requests are not answered yet" })
        ))
      }
      this.sendFor(about.call, encodeRequest(id, method, params), about.server)
      return Effect.sync(() => {
        const cancelled = this.withdraw(id)
        if (cancelled !== undefined) this.sendFor(about.call, cancelled, about.server)
      })
    })
  }

  /** Expects the answer to a request to the client, and returns the id of the request; `undefined` if there are too many without an answer. */
  expect(resume: (answer: Effect.Effect<unknown, RpcError>) => void): RpcId | undefined {
    if (this.#questions.size >= questionLimit) return undefined
    const id = ++this.#lastQuestion
    this.#questions.set(id, resume)
    return id
  }

  /** Expects the answer to a request no longer, and returns the message that says so; `undefined` if it was answered. */
  withdraw(id: RpcId): string | undefined {
    return this.#questions.delete(id) ? encodeNotification("notifications/cancelled", { requestId: id }) : undefined
  }

  /** The call at a server, if there is one only. */
  #onlyCallAt(server: string): ClientCall | undefined {
    const calls = [...this.calls.values()].filter((call) => call.server === server)
    return calls.length === 1 ? calls[0] : undefined
  }

  /** Takes the answer of the client to a question. Answers to no question are ignored. */
  answer(id: RpcId, answer: Effect.Effect<unknown, RpcError>): void {
    const resume = this.#questions.get(id)
    this.#questions.delete(id)
    resume?.(answer)
  }

  /** Ends the streams. */
  end(): void {
    this.resumable.close()
  }
}
