/**
 * The lists of a server: asked for, remembered for as long as the server says that they hold, and watched.
 *
 * **Details**
 *
 * A modern server says for how long a list holds (`ttlMs`); until then it is not asked again, unless it says that the
 * list has changed, which it does while someone listens. What it said on one connection does not outlive that. Lists are
 * remembered for one owner, whether or not the server would have them shared. Legacy servers say nothing of the kind, so
 * they are always asked.
 *
 * All who watch a list share one watcher. While it asks for the list, however many changes come to one more asking.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/caching
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Prompt, Resource, ResourceTemplate, Tool } from "../../Mcp.ts"
import type { Notification } from "../../Notification.ts"
import { SessionClosed, SessionError } from "../../SessionError.ts"
import type { ManagedConnection } from "../connection/managedConnection.ts"
import type { Perform } from "../request/execute.ts"
import { paginate } from "../request/pagination.ts"
import type { Subscriptions } from "./subscriptionManager.ts"

/** What a server has lists of. */
export interface Items {
  readonly tools: Tool
  readonly resources: Resource
  readonly resourceTemplates: ResourceTemplate
  readonly prompts: Prompt
}

export type ListKind = keyof Items

const kinds: {
  readonly [K in ListKind]: {
    readonly method: string
    readonly capability: "tools" | "resources" | "prompts"
    readonly change: Notification["_tag"]
  }
} = {
  tools: { method: "tools/list", capability: "tools", change: "ToolsChanged" },
  resources: { method: "resources/list", capability: "resources", change: "ResourcesChanged" },
  resourceTemplates: { method: "resources/templates/list", capability: "resources", change: "ResourcesChanged" },
  prompts: { method: "prompts/list", capability: "prompts", change: "PromptsChanged" }
}

/** A day. A server that means longer can be asked once a day. */
const longest = 24 * 60 * 60 * 1000

interface Remembered {
  readonly items: ReadonlyArray<unknown>
  readonly generation: number
  readonly expiresAt: number
}

export interface Lists {
  /** Lists all items over all pages. `perform` gets the requests to the server. */
  readonly list: <K extends ListKind>(kind: K, options: {
    readonly perform: Perform
    readonly refresh?: boolean | undefined
    readonly timeout?: Parameters<Perform>[0]["timeout"]
    readonly retry?: Parameters<Perform>[0]["retry"]
  }) => Effect.Effect<ReadonlyArray<Items[K]>, SessionError>
  /** The list as it is, and again each time that it has changed. */
  readonly watch: <K extends ListKind>(kind: K) => Stream.Stream<ReadonlyArray<Items[K]>, SessionError>
}

const safe = Effect.succeed(true)

/** Makes the lists of a managed. */
export const make = Effect.fnUntraced(function*(options: {
  readonly managed: ManagedConnection
  readonly subscriptions: Subscriptions
  readonly perform: Perform
}): Effect.fn.Return<Lists, never, Scope.Scope> {
  const { managed, subscriptions } = options
  // Below the finalizer, so that those who watch are told before what they watch is interrupted.
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Effect.context<never>()
  const closed = Deferred.makeUnsafe<never, SessionError>()
  yield* Effect.addFinalizer(() =>
    Deferred.fail(closed, new SessionError({ server: managed.definition.name, reason: new SessionClosed() }))
  )
  const remembered = new Map<ListKind, Remembered>()
  /** Counts changes, so that a list that was under way when it changed is not remembered. */
  let changes = 0

  managed.hub.listen(({ _tag }) => {
    for (const kind of Object.keys(kinds) as ReadonlyArray<ListKind>) {
      if (_tag !== kinds[kind].change) continue
      remembered.delete(kind)
      if (kind === "tools") managed.safeTools = undefined
      changes++
    }
  })

  const learn = (kind: ListKind, items: ReadonlyArray<unknown>, generation: number): void => {
    if (kind !== "tools") return
    const safe = (items as ReadonlyArray<Tool>).filter(({ annotations }) =>
      annotations?.readOnlyHint === true || annotations?.idempotentHint === true
    )
    managed.safeTools = { generation, names: new Set(safe.map(({ name }) => name)) }
  }

  const list: Lists["list"] = <K extends ListKind>(
    kind: K,
    { perform, refresh, retry, timeout }: Parameters<Lists["list"]>[1]
  ) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { capability, method } = kinds[kind]
      const known = remembered.get(kind)
      const isFresh = known !== undefined && refresh !== true && known.expiresAt > now &&
        known.generation === managed.peek()?.generation
      if (isFresh) return Effect.succeed(known.items as ReadonlyArray<Items[K]>)
      remembered.delete(kind)
      const before = changes
      return perform({
        method,
        tool: undefined,
        isSafe: safe,
        timeout,
        retry,
        run: ({ connection, generation, info }) =>
          // A server without the capability has none of these, and need not be asked.
          info?.capabilities[capability] === undefined
            ? Effect.succeed([])
            : Effect.map(paginate<Items[K]>({ connection, method, key: kind }), ({ holdsFor, items }) => {
              if (info.era === "modern" && holdsFor > 0 && before === changes) {
                remembered.set(kind, { items, generation, expiresAt: now + Math.min(holdsFor, longest) })
              }
              if (before === changes) learn(kind, items, generation)
              return items
            })
      })
    })

  const watchers = new Map<ListKind, Stream.Stream<ReadonlyArray<unknown>, SessionError>>()

  const watch = <K extends ListKind>(kind: K) =>
    Stream.unwrap(Effect.suspend(() => {
      if (Deferred.isDoneUnsafe(closed)) return Deferred.await(closed)
      const known = watchers.get(kind)
      if (known !== undefined) return Effect.succeed(known as Stream.Stream<ReadonlyArray<Items[K]>, SessionError>)
      const changed = Stream.unwrap(Effect.gen(function*() {
        // Nothing is lost with what does not fit: any number of changes is one reason to ask.
        const queue = yield* managed.hub.subscribe({
          capacity: 1,
          isFor: ({ _tag }) => _tag === kinds[kind].change
        })
        const { failed } = yield* subscriptions.want({
          uri: undefined,
          onListening: (listening) => Queue.offerUnsafe(queue, listening)
        })
        return Stream.make(undefined).pipe(
          Stream.concat(Stream.fromEffectRepeat(Queue.take(queue))),
          Stream.interruptWhen(failed)
        )
      }))
      return changed.pipe(
        Stream.mapEffect(() =>
          // What is shared belongs to none of those who share it, nor to the one who came first.
          Effect.updateContext(
            list(kind, { perform: options.perform, refresh: true }),
            (_: Context.Context<never>) => context
          )
        ),
        Stream.share({ capacity: 1, strategy: "sliding", replay: 1 }),
        Scope.provide(scope),
        Effect.map(Stream.interruptWhen(Deferred.await(closed))),
        Effect.tap((stream) => Effect.sync(() => watchers.set(kind, stream)))
      )
    }))

  return { list, watch }
})
