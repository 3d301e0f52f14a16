/**
 * Server subscription: what a server has been asked to notify of on one connection, in the way of its era.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Connection, ConnectionInfo, ListenFilter, Listening } from "../../../Connection.ts"
import { type Reason, Unsupported } from "../../../SessionError.ts"

/** The changes to notify of: those of the lists, and those of the resources with these URIs. */
export interface Interests {
  readonly lists: boolean
  readonly uris: ReadonlyArray<string>
}

/** A resource that the server does not notify of. */
export interface Refusal {
  readonly uri: string
  readonly reason: Reason
}

export interface Alignment {
  readonly refusals: ReadonlyArray<Refusal>
  /** Whether notifications may have been missed before this alignment. */
  readonly hadGap: boolean
}

export interface ServerSubscription {
  /** Makes the server notify of exactly these changes. Fails if it can notify of nothing. */
  readonly align: (interests: Interests) => Effect.Effect<Alignment, Reason>
  /** Completes when the server stops to notify of what it was asked for. It can be asked again. */
  readonly ended: Effect.Effect<void>
}

export interface SubscriberOptions {
  readonly connection: Connection
  readonly info: ConnectionInfo
  /** The scope of the subscription on this connection. */
  readonly scope: Scope.Scope
  /** Sends a request with a timeout and retries. Repeating it is harmless. */
  readonly request: <A>(method: string, request: Effect.Effect<A, Reason>) => Effect.Effect<A, Reason>
}

/** A stream of notifications that the server has agreed to, and its end. */
export interface ListeningStream {
  readonly scope: Scope.Closeable
  readonly listening: Listening
  readonly ended: Deferred.Deferred<void>
}

export const openStream = (
  { connection, filter, request, scope }: SubscriberOptions & { readonly filter: ListenFilter }
): Effect.Effect<ListeningStream, Reason> =>
  Effect.gen(function*() {
    const child = yield* Scope.fork(scope)
    const listening = yield* request("subscriptions/listen", Scope.provide(connection.listen(filter), child)).pipe(
      Effect.onError(() => Scope.close(child, Exit.void))
    )
    const ended = Deferred.makeUnsafe<void>()
    yield* listening.ended.pipe(
      Effect.andThen(Deferred.succeed(ended, undefined)),
      Effect.forkIn(child, { startImmediately: true })
    )
    return { scope: child, listening, ended }
  })

export const unsupported = ({ method, uri }: { readonly uri: string; readonly method: string }) =>
  new Unsupported({ method, description: `the server does not notify of changes of ${uri}` })
