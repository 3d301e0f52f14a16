/**
 * What a server has been asked to tell of on one connection, in the way of its era.
 *
 * Legacy servers tell of their lists unasked, and of a resource once it was subscribed to. Modern servers tell of nothing
 * unless asked by `subscriptions/listen`, one request for all that is wanted.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/resources#subscriptions
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Connection, ConnectionInfo, ListenFilter, Listening } from "../Connection.ts"
import type { ServerCapabilities } from "../Mcp.ts"
import { type Reason, Unsupported } from "../SessionError.ts"

/** The changes to be told of: those of the lists, and of the resources with these URIs, sorted. */
interface Wanted {
  readonly lists: boolean
  readonly uris: ReadonlyArray<string>
}

/** The server will not tell of the changes of a resource. */
interface Refusal {
  readonly uri: string
  readonly reason: Reason
}

export interface Teller {
  /** Sees to it that the server tells of this and nothing else. Fails where it tells of nothing at all. */
  readonly align: (wanted: Wanted) => Effect.Effect<ReadonlyArray<Refusal>, Reason>
  /** Completes when the server has stopped to tell of what it was asked for. It can be asked again. */
  readonly ended: Effect.Effect<void>
}

interface Options {
  readonly connection: Connection
  readonly info: ConnectionInfo
  /** Sets the time limit of one request. */
  readonly inTime: <A, R>(method: string, request: Effect.Effect<A, Reason, R>) => Effect.Effect<A, Reason, R>
}

const unsupported = (uri: string) =>
  new Unsupported({ method: "resources/subscribe", description: `the server does not tell of changes of ${uri}` })

const legacy = ({ connection, inTime, info }: Options): Teller => {
  const subscribed = new Set<string>()
  const ask = (method: string, uri: string) => inTime(method, connection.request({ method, params: { uri } }))
  const subscribe = Effect.fnUntraced(function*(uri: string): Effect.fn.Return<ReadonlyArray<Refusal>, Reason> {
    if (info.capabilities.resources?.subscribe !== true) return [{ uri, reason: unsupported(uri) }]
    return yield* Effect.matchEffect(ask("resources/subscribe", uri), {
      onSuccess: () => {
        subscribed.add(uri)
        return Effect.succeed([])
      },
      onFailure: (reason) => reason.losesConnection ? Effect.fail(reason) : Effect.succeed([{ uri, reason }])
    })
  })
  return {
    align: Effect.fnUntraced(function*({ uris }: Wanted) {
      for (const uri of [...subscribed].filter((uri) => !uris.includes(uri))) {
        subscribed.delete(uri)
        // Nobody listens any more; a server that goes on telling wastes its breath and does no harm.
        yield* Effect.ignore(ask("resources/unsubscribe", uri))
      }
      return (yield* Effect.forEach(uris.filter((uri) => !subscribed.has(uri)), subscribe)).flat()
    }),
    ended: Effect.never
  }
}

/** What a modern server is asked for. It is not asked for what it says that it does not do. */
const filterOf = ({ prompts, resources, tools }: ServerCapabilities, { lists, uris }: Wanted): ListenFilter => ({
  ...(lists && tools?.listChanged === true ? { toolsListChanged: true } : {}),
  ...(lists && prompts?.listChanged === true ? { promptsListChanged: true } : {}),
  ...(lists && resources?.listChanged === true ? { resourcesListChanged: true } : {}),
  ...(uris.length === 0 ? {} : { resourceSubscriptions: uris })
})

const isSame = (left: Wanted, right: Wanted): boolean =>
  left.lists === right.lists && left.uris.length === right.uris.length &&
  left.uris.every((uri, index) => uri === right.uris[index])

const modern = Effect.fnUntraced(
  function*({ connection, inTime, info }: Options): Effect.fn.Return<Teller, never, Scope.Scope> {
    const scope = yield* Effect.scope
    let current: { readonly wanted: Wanted; readonly scope: Scope.Closeable; readonly listening: Listening } | undefined
    const leave = Effect.suspend(() => {
      const left = current
      current = undefined
      return left === undefined ? Effect.void : Scope.close(left.scope, Exit.void)
    })
    return {
      align: Effect.fnUntraced(function*(wanted: Wanted) {
        if (current !== undefined && isSame(current.wanted, wanted)) return []
        const filter = filterOf(info.capabilities, wanted)
        if (Object.keys(filter).length === 0) {
          yield* leave
          return []
        }
        // The new request stands before the old one is left, so that nothing in between goes untold.
        const child = yield* Scope.fork(scope)
        const listening = yield* Scope.provide(inTime("subscriptions/listen", connection.listen(filter)), child).pipe(
          Effect.onError(() => Scope.close(child, Exit.void))
        )
        yield* leave
        current = { wanted, scope: child, listening }
        return wanted.uris.filter((uri) => !listening.resources.includes(uri)).map((uri) => ({
          uri,
          reason: unsupported(uri)
        }))
      }),
      ended: Effect.suspend(() => current === undefined ? Effect.never : Effect.andThen(current.listening.ended, leave))
    }
  }
)

/** Begins on a connection where nothing has been asked for. What is asked for ends with the scope. */
export const make = (options: Options): Effect.Effect<Teller, never, Scope.Scope> =>
  options.info.era === "modern" ? modern(options) : Effect.succeed(legacy(options))
