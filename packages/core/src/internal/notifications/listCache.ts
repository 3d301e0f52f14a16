/**
 * List cache: fetches the lists of a server, keeps them for as long as the server says, and watches them.
 *
 * A modern server says for how long a list is valid (`ttlMs`). Until then it is not fetched again, unless the server notifies that it has
 * changed, which it does while there is a subscriber. A list is valid on the connection that it was fetched on. It is cached for one owner,
 * even where the server would allow sharing. Legacy servers say nothing about validity, so their lists are always fetched.
 *
 * All watchers of a list share one fetch. Changes that arrive during a fetch cause one more.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/caching
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Prompt, Resource, ResourceTemplate, Tool } from "../../Mcp.ts"
import type { Notification } from "../../Notification.ts"
import type { RetryPolicy } from "../../RetryPolicy.ts"
import { SessionClosed, SessionError } from "../../SessionError.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import * as monotonic from "../monotonic.ts"
import type { Execute } from "../request/execute.ts"
import { read } from "../request/operation.ts"
import { paginate } from "../request/pagination.ts"
import type { NotificationHub } from "./notificationHub.ts"
import type { SubscriptionManager } from "./subscriptionManager.ts"

/** The items of each kind of list. */
export interface ItemsOfLists {
  readonly tools: Tool
  readonly resources: Resource
  readonly resourceTemplates: ResourceTemplate
  readonly prompts: Prompt
}

export type ListKind = keyof ItemsOfLists

const kinds: {
  readonly [K in ListKind]: {
    readonly method: string
    readonly capability: "tools" | "resources" | "prompts"
    readonly change: Notification["_tag"]
    /** The members that identify an item. */
    readonly identifiedBy: ReadonlyArray<string>
    /** What the items are called. */
    readonly noun: string
  }
} = {
  tools: { method: "tools/list", capability: "tools", change: "ToolsChanged", identifiedBy: ["name"], noun: "tools" },
  resources: {
    method: "resources/list",
    capability: "resources",
    change: "ResourcesChanged",
    identifiedBy: ["name", "uri"],
    noun: "resources"
  },
  resourceTemplates: {
    method: "resources/templates/list",
    capability: "resources",
    change: "ResourcesChanged",
    identifiedBy: ["name", "uriTemplate"],
    noun: "resource templates"
  },
  prompts: {
    method: "prompts/list",
    capability: "prompts",
    change: "PromptsChanged",
    identifiedBy: ["name"],
    noun: "prompts"
  }
}

/** How many positions of malformed items a warning shows. */
const shownPositions = 5

/** The longest time that a list is cached, in milliseconds: one day. */
const maxAge = 24 * 60 * 60 * 1000

interface Cached {
  readonly items: ReadonlyArray<unknown>
  readonly generation: number
  readonly expiresAt: number
}

interface ListOptions {
  readonly execute: Execute
  readonly refresh?: boolean | undefined
  readonly timeout?: Parameters<Execute>[0]["timeout"]
  readonly retry?: RetryPolicy | undefined
}

type Watch = Stream.Stream<ReadonlyArray<unknown>, SessionError>

export class ListCache {
  readonly #managed: ManagedConnection
  readonly #hub: NotificationHub
  readonly #subscriptions: SubscriptionManager
  /** Executes what no session asks for. */
  readonly #execute: Execute
  readonly #context: Context.Context<never>
  readonly #scope: Scope.Scope
  readonly #closed = Deferred.makeUnsafe<never, SessionError>()
  readonly #cached = new Map<ListKind, Cached>()
  readonly #watches = new Map<ListKind, Watch>()
  /** What was wrong with the items of each list when it was last fetched. */
  readonly #malformed = new Map<ListKind, string>()
  /** The tools that the server declares safe to repeat, on the connection of that generation. */
  #idempotentTools: { readonly generation: number; readonly names: ReadonlySet<string> } | undefined
  /** Counts change notifications: a list that changed while it was fetched is not cached. */
  #changes = 0

  constructor(options: {
    readonly managed: ManagedConnection
    readonly hub: NotificationHub
    readonly subscriptions: SubscriptionManager
    readonly execute: Execute
    readonly context: Context.Context<never>
    readonly scope: Scope.Scope
  }) {
    this.#managed = options.managed
    this.#hub = options.hub
    this.#subscriptions = options.subscriptions
    this.#execute = options.execute
    this.#context = options.context
    this.#scope = options.scope
    options.hub.listen(({ _tag }) => this.#invalidate(_tag))
  }

  /** The names of the tools that the server declares read-only or idempotent, if they were listed on the current connection. */
  get idempotentTools(): ReadonlySet<string> | undefined {
    const known = this.#idempotentTools
    return known?.generation === this.#managed.generation ? known.names : undefined
  }

  /** Sentences about the items that were left out of the lists. */
  warnings(): ReadonlyArray<string> {
    return [...this.#malformed.values()]
  }

  /** Lists all items over all pages. */
  list<K extends ListKind>(
    kind: K,
    { execute, refresh, retry, timeout }: ListOptions
  ): Effect.Effect<ReadonlyArray<ItemsOfLists[K]>, SessionError> {
    return Effect.flatMap(monotonic.now, (now) => {
      const cached = this.#cached.get(kind)
      const isValid = cached !== undefined && refresh !== true && cached.expiresAt > now &&
        cached.generation === this.#managed.current?.generation
      if (isValid) return Effect.succeed(cached.items as ReadonlyArray<ItemsOfLists[K]>)
      this.#cached.delete(kind)
      const { capability, identifiedBy, method } = kinds[kind]
      const before = this.#changes
      return execute<ReadonlyArray<ItemsOfLists[K]>>({
        kind: read,
        method,
        timeout,
        retry,
        run: ({ connection, generation }, { capabilities, era }) =>
          // A server without the capability has no items and is not asked.
          capabilities[capability] === undefined
            ? Effect.succeed([])
            : Effect.map(paginate<ItemsOfLists[K]>({ connection, method, key: kind, identifiedBy }), (listed) => {
              const { items, malformed, validFor } = listed
              this.#warn(kind, malformed)
              if (before !== this.#changes) return items
              if (era === "modern" && validFor > 0) {
                this.#cached.set(kind, { items, generation, expiresAt: now + Math.min(validFor, maxAge) })
              }
              if (kind === "tools") this.#learnTools(items as ReadonlyArray<Tool>, generation)
              return items
            })
      })
    })
  }

  /** The current list, and each later one. */
  watch<K extends ListKind>(kind: K): Stream.Stream<ReadonlyArray<ItemsOfLists[K]>, SessionError> {
    return Stream.unwrap(Effect.suspend((): Effect.Effect<Watch, SessionError> => {
      if (Deferred.isDoneUnsafe(this.#closed)) return Deferred.await(this.#closed)
      const known = this.#watches.get(kind)
      return known === undefined ? this.#startWatch(kind) : Effect.succeed(known)
    })) as Stream.Stream<ReadonlyArray<ItemsOfLists[K]>, SessionError>
  }

  /** Ends all watches. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const error = new SessionError({ server: this.#managed.definition.name, reason: new SessionClosed() })
      return Effect.asVoid(Deferred.fail(this.#closed, error))
    })
  }

  #startWatch(kind: ListKind): Effect.Effect<Watch> {
    const fetch = Effect.suspend(() => this.list(kind, { execute: this.#execute, refresh: true }))
    return this.#changesOf(kind).pipe(
      // A shared fetch runs in the context of the layer, never in that of its first watcher.
      Stream.mapEffect(() => Effect.updateContext(fetch, (_: Context.Context<never>) => this.#context)),
      Stream.share({ capacity: 1, strategy: "sliding", replay: 1 }),
      Scope.provide(this.#scope),
      Effect.map(Stream.interruptWhen(Deferred.await(this.#closed))),
      Effect.tap((stream) => Effect.sync(() => this.#watches.set(kind, stream)))
    )
  }

  /** An element at once, and one after each change or gap. */
  #changesOf(kind: ListKind): Stream.Stream<void, SessionError> {
    return Stream.unwrap(Effect.gen({ self: this }, function*() {
      // Any number of changes is one reason to fetch.
      const changed = yield* Queue.sliding<void>(1)
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          this.#hub.listen(({ _tag }) => {
            if (_tag === kinds[kind].change) Queue.offerUnsafe(changed, undefined)
          })
        ),
        (remove) => Effect.sync(remove)
      )
      const { failed } = yield* this.#subscriptions.register({
        uri: undefined,
        onListening: () => Queue.offerUnsafe(changed, undefined)
      })
      return Stream.make(undefined).pipe(
        Stream.concat(Stream.fromEffectRepeat(Queue.take(changed))),
        Stream.interruptWhen(failed)
      )
    }))
  }

  #invalidate(tag: Notification["_tag"]): void {
    for (const kind of Object.keys(kinds) as ReadonlyArray<ListKind>) {
      if (tag !== kinds[kind].change) continue
      this.#cached.delete(kind)
      if (kind === "tools") this.#idempotentTools = undefined
      this.#changes++
    }
  }

  /** Logs what was left out of a list, where that has changed since the last fetch. */
  #warn(kind: ListKind, malformed: ReadonlyArray<number>): void {
    if (malformed.length === 0) return void this.#malformed.delete(kind)
    const positions = malformed.slice(0, shownPositions).join(", ")
    const more = malformed.length > shownPositions ? ", …" : ""
    const warning = `lists ${malformed.length} malformed ${
      kinds[kind].noun
    }, which are left out: positions ${positions}${more}`
    if (this.#malformed.get(kind) === warning) return
    this.#malformed.set(kind, warning)
    Effect.runForkWith(this.#context)(Effect.logWarning(`${this.#managed.definition.name}: ${warning}`))
  }

  #learnTools(tools: ReadonlyArray<Tool>, generation: number): void {
    const isIdempotent = ({ annotations }: Tool) =>
      annotations?.readOnlyHint === true || annotations?.idempotentHint === true
    this.#idempotentTools = { generation, names: new Set(tools.filter(isIdempotent).map(({ name }) => name)) }
  }
}
