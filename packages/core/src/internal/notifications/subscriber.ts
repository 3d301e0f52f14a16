/**
 * What a server has been asked to tell of on one connection, in the way of its era.
 *
 * Legacy servers tell of their lists unasked, and of a resource once it was subscribed to. Modern servers tell of nothing
 * unless asked by `subscriptions/listen`, one request for all that is wanted.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/resources#subscriptions
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Connection, ConnectionInfo, ListenFilter, Listening } from "../../Connection.ts"
import type { ServerCapabilities } from "../../Mcp.ts"
import { type Reason, Unsupported } from "../../SessionError.ts"

/** The changes to be told of: those of the lists, and of the resources with these URIs. */
interface Wanted {
  readonly lists: boolean
  readonly uris: ReadonlyArray<string>
}

/** The server will not tell of the changes of a resource. */
interface Refusal {
  readonly uri: string
  readonly reason: Reason
}

/** What came of asking. */
interface Alignment {
  readonly refusals: ReadonlyArray<Refusal>
  /** Whether the server may have told of nothing for a while. */
  readonly hadGap: boolean
}

export interface Teller {
  /** Sees to it that the server tells of this and nothing else. Fails where it tells of nothing at all. */
  readonly align: (wanted: Wanted) => Effect.Effect<Alignment, Reason>
  /** Completes when the server has stopped to tell of what it was asked for. It can be asked again. */
  readonly ended: Effect.Effect<void>
}

interface Options {
  readonly connection: Connection
  readonly info: ConnectionInfo
  /** Sends one request within its time, and again where that helps. Asking twice does no more than asking once. */
  readonly inTime: <A>(method: string, request: Effect.Effect<A, Reason>) => Effect.Effect<A, Reason>
}

const unsupported = (uri: string, method: string) =>
  new Unsupported({ method, description: `the server does not tell of changes of ${uri}` })

/** A promise of the server to tell, and what ends it. */
interface Standing {
  readonly scope: Scope.Closeable
  readonly listening: Listening
  readonly ended: Deferred.Deferred<void>
}

/** Asks for a promise, in a scope below the one given. */
const stand = (
  { connection, inTime, scope }: Options & { readonly scope: Scope.Scope },
  filter: ListenFilter
): Effect.Effect<Standing, Reason> =>
  Effect.gen(function*() {
    const child = yield* Scope.fork(scope)
    const listening = yield* inTime("subscriptions/listen", Scope.provide(connection.listen(filter), child)).pipe(
      Effect.onError(() => Scope.close(child, Exit.void))
    )
    const ended = Deferred.makeUnsafe<void>()
    yield* listening.ended.pipe(
      Effect.andThen(Deferred.succeed(ended, undefined)),
      Effect.forkIn(child, { startImmediately: true })
    )
    return { scope: child, listening, ended }
  })

/** How long a server is waited for that is to tell of a resource no longer. */
const farewell = "5 seconds"

/** Which resources each connection is to tell of no longer, and has not agreed to yet. */
const leavings = new WeakMap<Connection, Map<string, Fiber.Fiber<void>>>()

const legacy = (options: Options & { readonly scope: Scope.Scope }): Teller => {
  const { connection, inTime, info } = options
  const subscribed = new Set<string>()
  const leaving = leavings.get(connection) ?? new Map<string, Fiber.Fiber<void>>()
  leavings.set(connection, leaving)
  let standing: Standing | undefined
  const ask = (method: string, uri: string) => connection.request({ method, params: { uri } })

  /** Nobody listens any more; a server that goes on telling wastes its breath and does no harm. */
  const unsubscribe = (uri: string) =>
    ask("resources/unsubscribe", uri).pipe(
      Effect.timeout(farewell),
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => leaving.delete(uri))),
      Effect.forkDetach,
      Effect.map((fiber) => leaving.set(uri, fiber))
    )

  const subscribe = Effect.fnUntraced(function*(uri: string): Effect.fn.Return<ReadonlyArray<Refusal>, Reason> {
    if (info.capabilities.resources?.subscribe !== true) {
      return [{ uri, reason: unsupported(uri, "resources/subscribe") }]
    }
    // The two may overtake each other on their way; the last one has the last word.
    const left = leaving.get(uri)
    if (left !== undefined) yield* Fiber.await(left)
    return yield* Effect.matchEffect(inTime("resources/subscribe", ask("resources/subscribe", uri)), {
      onSuccess: () => {
        subscribed.add(uri)
        return Effect.succeed([])
      },
      onFailure: (reason) => reason.losesConnection ? Effect.fail(reason) : Effect.succeed([{ uri, reason }])
    })
  })

  return {
    align: Effect.fnUntraced(function*({ lists, uris }: Wanted) {
      const isWanted = lists || uris.length > 0
      const hadGap = standing !== undefined && Deferred.isDoneUnsafe(standing.ended)
      if (standing !== undefined && (hadGap || !isWanted)) {
        yield* Scope.close(standing.scope, Exit.void)
        standing = undefined
      }
      if (standing === undefined && isWanted) standing = yield* stand(options, {})
      const left = [...subscribed].filter((uri) => !uris.includes(uri))
      for (const uri of left) subscribed.delete(uri)
      yield* Effect.forEach(left, unsubscribe, { discard: true })
      const fresh = uris.filter((uri) => !subscribed.has(uri))
      const refusals = yield* Effect.forEach(fresh, subscribe, { concurrency: "unbounded" })
      return { refusals: refusals.flat(), hadGap }
    }),
    ended: Effect.suspend(() => standing === undefined ? Effect.never : Deferred.await(standing.ended))
  }
}

/** What a modern server is asked for. It is not asked for what it says that it does not do. */
const filterOf = ({ prompts, resources, tools }: ServerCapabilities, { lists, uris }: Wanted): ListenFilter => ({
  ...(lists && tools?.listChanged === true ? { toolsListChanged: true } : {}),
  ...(lists && prompts?.listChanged === true ? { promptsListChanged: true } : {}),
  ...(lists && resources?.listChanged === true ? { resourcesListChanged: true } : {}),
  ...(uris.length === 0 ? {} : { resourceSubscriptions: uris.toSorted() })
})

const isSame = (left: Wanted, right: Wanted): boolean =>
  left.lists === right.lists && left.uris.length === right.uris.length &&
  left.uris.every((uri) => right.uris.includes(uri))

const modern = (options: Options & { readonly scope: Scope.Scope }): Teller => {
  const { info } = options
  const method = "subscriptions/listen"
  const isOffered = info.capabilities.resources?.subscribe === true
  let current: { readonly wanted: Wanted; readonly standing: Standing } | undefined
  const hasEnded = () => current !== undefined && Deferred.isDoneUnsafe(current.standing.ended)

  /** Replaces what there is by what is wanted. The new stands before the old is left, so nothing in between goes untold. */
  const replace = Effect.fnUntraced(function*(wanted: Wanted): Effect.fn.Return<Alignment, Reason> {
    const filter = filterOf(info.capabilities, wanted)
    const standing = Object.keys(filter).length === 0 ? undefined : yield* stand(options, filter)
    const hadGap = hasEnded()
    const left = current
    current = undefined
    if (left !== undefined) yield* Scope.close(left.standing.scope, Exit.void)
    if (standing === undefined) return { refusals: [], hadGap }
    const uris = wanted.uris.filter((uri) => standing.listening.resources.includes(uri))
    current = { wanted: { lists: wanted.lists, uris }, standing }
    const refused = wanted.uris.filter((uri) => !uris.includes(uri))
    return { refusals: refused.map((uri) => ({ uri, reason: unsupported(uri, method) })), hadGap }
  })

  const align = (wanted: Wanted): Effect.Effect<Alignment, Reason> => {
    if (current !== undefined && !hasEnded() && isSame(current.wanted, wanted)) {
      return Effect.succeed({ refusals: [], hadGap: false })
    }
    const known = wanted.uris.filter((uri) => current?.wanted.uris.includes(uri) ?? false)
    const fresh = wanted.uris.filter((uri) => !known.includes(uri))
    return Effect.catchIf(
      replace(wanted),
      ({ delivery }) => delivery === "Answered" && fresh.length > 0,
      // What the server objects to is one of the new ones, which must not take the others along: each by itself.
      (reason) =>
        fresh.length === 1
          ? refuse({ ...wanted, uris: known }, fresh, reason)
          : oneByOne({ ...wanted, uris: known }, fresh)
    )
  }

  const refuse = (wanted: Wanted, uris: ReadonlyArray<string>, reason: Reason): Effect.Effect<Alignment, Reason> =>
    Effect.map(align(wanted), ({ hadGap, refusals }) => ({
      hadGap,
      refusals: [...refusals, ...uris.map((uri) => ({ uri, reason }))]
    }))

  const oneByOne = (known: Wanted, fresh: ReadonlyArray<string>): Effect.Effect<Alignment, Reason> =>
    Effect.gen(function*() {
      const uris = [...known.uris]
      const refused: Array<Refusal> = []
      let hadGap = false
      for (const uri of fresh) {
        const alignment = yield* align({ ...known, uris: [...uris, uri] })
        refused.push(...alignment.refusals)
        hadGap ||= alignment.hadGap
        if (!alignment.refusals.some((refusal) => refusal.uri === uri)) uris.push(uri)
      }
      return { refusals: refused, hadGap }
    })

  return {
    align: (wanted) =>
      isOffered || wanted.uris.length === 0
        ? Effect.suspend(() => align(wanted))
        : Effect.suspend(() =>
          Effect.map(align({ ...wanted, uris: [] }), ({ hadGap }) => ({
            hadGap,
            refusals: wanted.uris.map((uri) => ({ uri, reason: unsupported(uri, method) }))
          }))
        ),
    ended: Effect.suspend(() => current === undefined ? Effect.never : Deferred.await(current.standing.ended))
  }
}

/** Begins on a connection where nothing has been asked for. What is asked for ends with the scope. */
export const make = (options: Options): Effect.Effect<Teller, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => (options.info.era === "modern" ? modern : legacy)({ ...options, scope }))
