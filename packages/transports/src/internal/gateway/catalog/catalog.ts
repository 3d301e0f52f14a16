/**
 * Catalog: follows the lists of all servers, with a session of the gateway's own at each. So listing costs a client no session.
 *
 * A client whose own session has other lists, because its calls have changed them, sees those in their place.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import { offersTasks } from "@mcp-sessions/core/Connection"
import type { Tool } from "@mcp-sessions/core/Mcp"
import type { Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ChangedReasons } from "./changedReasons.ts"
import { NameOwners } from "./nameOwners.ts"
import { type Listed, type ListKind, type Lists, type Named, noLists, Offer, type Rules } from "./offer.ts"

/** The lists whose changes clients are notified of. */
export type ChangedList = "tools" | "resources" | "prompts"

/** A server whose lists are followed. */
interface Followed {
  readonly server: string
  lists: Lists
  instructions: string | undefined
  /** Which tools of the server may run as tasks. In the legacy era, these are the tools with `execution.taskSupport`. */
  tasks: "all" | "marked" | "none"
}

const changedBy: Readonly<Record<ListKind, ChangedList>> = {
  tools: "tools",
  resources: "resources",
  resourceTemplates: "resources",
  prompts: "prompts"
}

/** When a server that cannot be listed is tried again. */
const followAgain = Schedule.min([Schedule.exponential("1 second", 1.6), Schedule.spaced("60 seconds")]).pipe(
  Schedule.jittered
)

/** How often the lists of a server are fetched that does not notify of changes. */
const pollInterval = "60 seconds"

/** How many collisions a warning names. */
const shownCollisions = 5

/** Whether fetching a list again may help. */
export const mayRecover = ({ isRetryable, reason }: SessionError): boolean =>
  isRetryable || ["ServerDown", "ServerEjected", "QueueFull", "RateLimited"].includes(reason._tag)

/** Whether a tool of the legacy era says that it runs as a task. */
export const isMarked = (execution: Tool["execution"]): boolean =>
  execution?.taskSupport === "required" || execution?.taskSupport === "optional"

/** Whether two lists are the same as JSON. */
const isSame = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right)

export interface CatalogOptions extends Rules {
  /** The servers in the order of the configuration. */
  readonly servers: ReadonlyArray<string>
  /** Opens the session that follows a server. */
  readonly open: (server: string) => Effect.Effect<Session, SessionError | ConfigError, Scope.Scope>
}

export class Catalog {
  readonly #options: CatalogOptions
  readonly #followed: ReadonlyArray<Followed>
  readonly #listeners = new Set<(list: ChangedList) => void>()
  readonly #changed = new Set<ChangedList>()
  #nameOwners = new NameOwners()
  #offer: Offer
  #isSettled = false

  constructor(options: CatalogOptions) {
    this.#options = options
    this.#followed = options.servers.map((server) => ({
      server,
      lists: noLists,
      instructions: undefined,
      tasks: "none"
    }))
    this.#offer = this.#offerOf(this.#followed, this.#nameOwners)
  }

  /** What all servers offer. */
  get offer(): Offer {
    return this.#offer
  }

  /** The names of the tools that each server lists, those that are not offered too. */
  get tools(): ReadonlyArray<{ readonly server: string; readonly tools: ReadonlyArray<string> }> {
    return this.#followed.map(({ lists, server }) => ({ server, tools: lists.tools.map(({ name }) => name) }))
  }

  /** Gives names and URIs that several servers have listed so far to the first server of the configuration. Returns what collides. */
  settle(): Offer["collisions"] {
    this.#isSettled = true
    this.#nameOwners = new NameOwners()
    this.#offer = this.#offerOf(this.#followed, this.#nameOwners)
    return this.#offer.collisions
  }

  /** What all servers offer to a client whose own sessions have these lists. */
  offerWith(own: ReadonlyMap<string, Partial<Lists>>): Offer {
    const listed = this.#followed.map(({ lists, server }) => ({ server, lists: { ...lists, ...own.get(server) } }))
    return this.#offerOf(listed, this.#nameOwners.fork())
  }

  /** Whether the server of a tool may run it as a task. */
  mayBeTask({ item: { execution }, server }: Named<Tool>): boolean {
    const tasks = this.#followed.find((followed) => followed.server === server)?.tasks
    return tasks === "all" || (tasks === "marked" && isMarked(execution))
  }

  /** How the servers want to be used, as text for language models. */
  get instructions(): string | undefined {
    const texts = this.#followed.flatMap(({ instructions, server }) =>
      instructions === undefined ? [] : [this.#options.hasPrefix ? `# ${server}\n\n${instructions}` : instructions]
    )
    return texts.length === 0 ? undefined : texts.join("\n\n")
  }

  /** Adds a listener of changes, and returns what removes it. Changes within one turn of the event loop are reported once. */
  onChange(listener: (list: ChangedList) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Follows the lists of all servers for as long as the scope. Each deferred completes when the lists of its server are known, or it is known
   * that they cannot be fetched now.
   */
  get follow(): Effect.Effect<ReadonlyArray<Deferred.Deferred<void>>, never, Scope.Scope> {
    return Effect.forEach(this.#followed, (followed) =>
      Effect.gen({ self: this }, function*() {
        const known = yield* Deferred.make<void>()
        const reasons = new ChangedReasons()
        const opened = this.#options.open(followed.server).pipe(
          Effect.tap(() => reasons.clear),
          Effect.tapError((error) =>
            Effect.andThen(
              reasons.warn(`${followed.server} cannot be listed yet`, error),
              Deferred.succeed(known, undefined)
            )
          )
        )
        yield* Effect.scoped(Effect.flatMap(opened, (session) => this.#watch(followed, session, known))).pipe(
          Effect.retry({ schedule: followAgain, while: ({ _tag }) => _tag === "SessionError" }),
          Effect.ignore,
          Effect.forkScoped({ startImmediately: true })
        )
        return known
      }))
  }

  #watch(
    followed: Followed,
    session: Session,
    known: Deferred.Deferred<void>
  ): Effect.Effect<never, SessionError> {
    const awaited = new Set<ListKind>(["tools", "resources", "resourceTemplates", "prompts"])
    const isKnown = (kind: ListKind) =>
      Effect.suspend(() => {
        awaited.delete(kind)
        return awaited.size === 0 ? Deferred.succeed(known, undefined) : Effect.void
      })
    const watched = <K extends ListKind>(
      kind: K,
      lists: Stream.Stream<Lists[K], SessionError>,
      list: Effect.Effect<Lists[K], SessionError>
    ) => {
      const reasons = new ChangedReasons()
      let isAnnounced = true
      const polled = Effect.matchEffect(list, {
        onFailure: () =>
          Effect.sync(() => {
            isAnnounced = true
          }),
        onSuccess: (items) =>
          Effect.suspend(() => {
            if (!isAnnounced && isSame(followed.lists[kind], items)) return Effect.void
            isAnnounced = false
            return this.#take(followed, kind, items)
          })
      })
      const taken = (items: Lists[K]) =>
        Effect.all([reasons.clear, this.#take(followed, kind, items), isKnown(kind)], { discard: true })
      return Stream.runForEach(lists, taken).pipe(
        Effect.tapError((error) =>
          mayRecover(error)
            ? Effect.andThen(reasons.warn(`${followed.server} does not list its ${kind}`, error), isKnown(kind))
            : Effect.void
        ),
        Effect.retry({ schedule: followAgain, while: mayRecover }),
        // Such as a server over HTTP without a stream of its own.
        Effect.catch(() => Effect.repeat(Effect.andThen(polled, isKnown(kind)), Schedule.spaced(pollInterval)))
      )
    }
    return Effect.gen(function*() {
      const info = yield* session.connect
      followed.instructions = info.instructions
      followed.tasks = !offersTasks(info) ? "none" : info.era === "modern" ? "all" : "marked"
      yield* Effect.all([
        watched("tools", session.watchTools, session.listTools()),
        watched("resources", session.watchResources, session.listResources()),
        watched("resourceTemplates", session.watchResourceTemplates, session.listResourceTemplates()),
        watched("prompts", session.watchPrompts, session.listPrompts())
      ], { concurrency: "unbounded", discard: true })
      return yield* Effect.never
    })
  }

  #offerOf(listed: ReadonlyArray<Listed>, nameOwners: NameOwners): Offer {
    return new Offer({ listed, nameOwners, rules: this.#options })
  }

  #take<K extends ListKind>(followed: Followed, kind: K, items: Lists[K]): Effect.Effect<void> {
    return Effect.suspend(() => {
      followed.lists = { ...followed.lists, [kind]: items }
      const before = this.#offer.collisions.length
      this.#offer = this.#offerOf(this.#followed, this.#nameOwners)
      this.#report(changedBy[kind])
      const { collisions } = this.#offer
      // Until the servers are settled, a collision is an error at the start.
      return !this.#isSettled || collisions.length <= before
        ? Effect.void
        : Effect.logWarning(
          "two servers have one name or URI; the second is not offered",
          collisions.slice(0, shownCollisions)
        )
    })
  }

  #report(list: ChangedList): void {
    if (this.#changed.size === 0) {
      setImmediate(() => {
        const changed = [...this.#changed]
        this.#changed.clear()
        for (const one of changed) for (const listener of this.#listeners) listener(one)
      })
    }
    this.#changed.add(list)
  }
}
