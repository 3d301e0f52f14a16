/**
 * Tasks: the calls of this process that their clients have left with a handle, and the outcomes that are kept for them.
 *
 * The id of a task is sealed for its principal and route, as the ids of sessions are. It also says how long the task was to be kept: a process
 * that does not know a task whose time has not passed has lost it, and says that its outcome is unknown.
 */
import type { DeclaredCapabilities } from "@mcp-sessions/core/ClientHandlers"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Crypto from "node:crypto"
import { encode } from "../../exactNumbers.ts"
import { textOrEmpty } from "../../textOrEmpty.ts"
import { capabilitiesFrom } from "../protocol/capabilities.ts"
import { codes, RpcError } from "../protocol/rpc.ts"
import { SealedIds, type SealedIdsOptions } from "../protocol/sealedIds.ts"
import type { ClientCall } from "./clientCall.ts"
import type { ClientSession } from "./clientSession.ts"
import { OpenQuestions } from "./openQuestions.ts"
import type { NamedSession } from "./sessionLocation.ts"
import { lifetimeOf, type Outcome, type Report, Task } from "./task.ts"

/** The maximum size of kept outcomes, in bytes. At the maximum, a principal below its equal share may still keep more. */
const keptLimit = 64 * 1024 ** 2

/** The limits of the tasks of a gateway. */
interface TaskLimits {
  readonly maxTasks: number
  readonly maxTasksPerPrincipal: number
}

export interface TasksOptions {
  /** The keys that seal ids. */
  readonly keys: SealedIdsOptions["keys"]
  /** The path of the endpoint. Ids are bound to it. */
  readonly route: string
  readonly limits: TaskLimits
  /** The time of day in milliseconds since the epoch, which processes agree on. */
  readonly timeOfDay: () => number
  /** How many bytes of outcomes are kept. Default: 64 MiB. */
  readonly keptLimit?: number | undefined
}

/** What an id holds. */
const Content = Schema.fromJsonString(Schema.Struct({
  name: Schema.String,
  session: Schema.String,
  revision: Schema.String,
  capabilities: Schema.Record(Schema.String, Schema.Unknown),
  createdAt: Schema.Finite,
  ttl: Schema.Finite
}))

type Content = typeof Content.Type

const decode = Schema.decodeUnknownOption(Content)

/** What the tasks of one principal use. */
interface Usage {
  tasks: number
  bytes: number
}

const tooMany = new RpcError({
  code: codes.limited,
  message: "too many tasks: wait until one has ended and is forgotten"
})

const notKept = (server: string | undefined): RpcError =>
  new RpcError({
    code: codes.serverFailed,
    message: "the tool has ended, and its result is larger than what the gateway can keep now",
    data: { server, reason: "ResultNotKept", delivery: "Answered", isRetryable: false }
  })

const lost: Outcome = {
  _tag: "Failed",
  error: new RpcError({
    code: codes.serverFailed,
    message: "the process that had the task was lost, so the tool may or may not have run",
    data: { reason: "OutcomeUnknown", lost: "OwnerLost", delivery: "Unknown", isRetryable: false }
  })
}

/** A call that may become a task, and has a place among the tasks. */
export class TaskPlace {
  readonly #tasks: Tasks
  readonly #asked: number | undefined
  readonly principal: string
  readonly client: ClientSession
  task: Task | undefined
  /** Called once the call is a task. */
  onBegin: (task: Task) => void = () => {}

  constructor({ asked, client, tasks }: {
    readonly asked: number | undefined
    readonly client: ClientSession
    readonly tasks: Tasks
  }) {
    this.#asked = asked
    this.#tasks = tasks
    this.client = client
    this.principal = client.principal
  }

  /** How long the client wants the task to be kept, in milliseconds. */
  get asked(): number | undefined {
    return this.#asked
  }

  /** Takes the state of the task at the server. The first one makes the call a task. */
  report(call: ClientCall, report: Report): void {
    if (this.task !== undefined) return this.task.report(report)
    const ttl = lifetimeOf({ asked: this.#asked, report })
    const task = this.task = this.#tasks.begin(this, { call, ttl })
    task.report(report)
    this.onBegin(task)
  }
}

export class Tasks {
  readonly #options: TasksOptions
  readonly #ids: SealedIds
  readonly #kept: number
  readonly #byName = new Map<string, Task>()
  readonly #places = new Map<Task, { readonly principal: string; bytes: number }>()
  readonly #usages = new Map<string, Usage>()
  #size = 0
  #bytes = 0
  #isOffered = true

  constructor(options: TasksOptions) {
    this.#options = options
    this.#ids = new SealedIds({ keys: options.keys, purpose: "task" })
    this.#kept = options.keptLimit ?? keptLimit
  }

  /** Whether clients are offered tasks. */
  get isOffered(): boolean {
    return this.#isOffered
  }

  /** Offers no tasks, because later requests of a client may reach another process, which cannot find them. */
  disable(): void {
    this.#isOffered = false
  }

  /** Reserves a place for a call that may become a task, or says that there are too many. */
  reserve(client: ClientSession, asked?: number): TaskPlace | RpcError {
    const { maxTasks, maxTasksPerPrincipal } = this.#options.limits
    const usage = this.#usageOf(client.principal)
    const share = maxTasks / this.#usages.size
    if (usage.tasks >= maxTasksPerPrincipal || (this.#size >= maxTasks && usage.tasks >= share)) {
      this.#settle(client.principal, usage)
      return tooMany
    }
    usage.tasks++
    this.#size++
    return new TaskPlace({ asked, client, tasks: this })
  }

  /** Makes a call a task. */
  begin({ client, principal }: TaskPlace, { call, ttl }: { readonly call: ClientCall; readonly ttl: number }): Task {
    const { route, timeOfDay } = this.#options
    const content: Content = {
      name: Crypto.randomUUID(),
      session: client.name,
      revision: client.protocolVersion,
      capabilities: { ...client.capabilities },
      createdAt: Math.floor(timeOfDay()),
      ttl
    }
    const questions = call.questions ??= new OpenQuestions()
    questions.isNumbered = true
    const id = this.#ids.seal(JSON.stringify(content), { principal, route })
    const task = new Task({ ...content, id, call, questions, timeOfDay })
    this.#byName.set(task.name, task)
    this.#places.set(task, { principal, bytes: 0 })
    return task
  }

  /** Ends the call of a place. Returns `false` if it never became a task. */
  end({ principal, task }: TaskPlace, outcome: Outcome): boolean {
    if (task === undefined) {
      this.#leave(principal, 0)
      return false
    }
    const place = this.#places.get(task)
    // Its session was closed before.
    if (place === undefined) return true
    const value = outcome._tag === "Completed" ? outcome.result : outcome._tag === "Failed" ? outcome.error : {}
    const bytes = task.outcome === undefined ? Buffer.byteLength(encode(value)) : 0
    if (!this.#mayKeep(principal, bytes)) {
      task.end({ _tag: "Failed", error: notKept(task.server) })
      return true
    }
    place.bytes = bytes
    this.#usageOf(principal).bytes += bytes
    this.#bytes += bytes
    task.end(outcome)
    return true
  }

  /** Finds a task by the id that its client sends; `undefined` for an id that is not one of the principal, or that is over. */
  find(id: unknown, client: ClientSession): Task | undefined {
    const content = this.#open(id, client.principal)
    if (content === undefined) return undefined
    // A client of a revision before 2026-07-28 sees only the tasks of its own session. Clients of 2026-07-28 have no session.
    if (client.isModern ? content.revision !== client.protocolVersion : content.session !== client.name) {
      return undefined
    }
    const task = this.#byName.get(content.name)
    if (task !== undefined) {
      if (!task.isOver) return task
      this.#forget(task)
      return undefined
    }
    const { timeOfDay } = this.#options
    if (timeOfDay() > content.createdAt + content.ttl) return undefined
    const unknown = new Task({ ...content, id: textOrEmpty(id), call: undefined, questions: undefined, timeOfDay })
    unknown.end(lost)
    return unknown
  }

  /** The session of the task that an id names; `undefined` for an id that is not one of the principal. */
  ownerOf(id: unknown, principal: string): NamedSession | undefined {
    const content = this.#open(id, principal)
    if (content === undefined) return undefined
    const capabilities: DeclaredCapabilities = capabilitiesFrom(content.capabilities)
    return { name: content.session, principal, protocolVersion: content.revision, capabilities }
  }

  /** The tasks of a client session, the oldest first. */
  ofSession(session: string): ReadonlyArray<Task> {
    return [...this.#byName.values()].filter((task) => task.session === session && !task.isOver)
  }

  /** Forgets the tasks of a client session that has ended. */
  forgetSession(session: string): void {
    for (const task of this.#byName.values()) if (task.session === session) this.#forget(task)
  }

  /** Forgets tasks whose time is over, and cancels those that have run for too long. */
  sweep(): void {
    for (const task of this.#byName.values()) {
      if (task.isOver) this.#forget(task)
      else if (task.isOverdue) task.cancel()
    }
  }

  #open(id: unknown, principal: string): Content | undefined {
    const { route } = this.#options
    return typeof id === "string" ? Option.getOrUndefined(decode(this.#ids.open(id, { principal, route }))) : undefined
  }

  #mayKeep(principal: string, bytes: number): boolean {
    return this.#bytes + bytes <= this.#kept ||
      this.#usageOf(principal).bytes + bytes <= this.#kept / this.#usages.size
  }

  #forget(task: Task): void {
    const place = this.#places.get(task)
    if (place === undefined) return
    this.#places.delete(task)
    this.#byName.delete(task.name)
    this.#leave(place.principal, place.bytes)
  }

  #leave(principal: string, bytes: number): void {
    const usage = this.#usageOf(principal)
    usage.tasks--
    usage.bytes -= bytes
    this.#size--
    this.#bytes -= bytes
    this.#settle(principal, usage)
  }

  #usageOf(principal: string): Usage {
    const known = this.#usages.get(principal)
    if (known !== undefined) return known
    const usage = { tasks: 0, bytes: 0 }
    this.#usages.set(principal, usage)
    return usage
  }

  /** Forgets a principal that uses nothing. */
  #settle(principal: string, usage: Usage): void {
    if (usage.tasks === 0) this.#usages.delete(principal)
  }
}
