/**
 * Session streams: notifications and changes of lists as a session object offers them. A stream ends with the session that it was taken from.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Listening, Notification, ResourceUpdated } from "../../Notification.ts"
import { SessionClosed, SessionError } from "../../SessionError.ts"
import type { ItemsOfLists, ListKind } from "../notifications/listCache.ts"
import { tagError, type ToolLedger } from "../request/toolLedger.ts"
import type { SessionCore } from "./sessionCore.ts"

/** The session object that a stream is taken from. */
interface Source {
  readonly core: SessionCore
  readonly ended: Deferred.Deferred<void>
  readonly ledger?: ToolLedger | undefined
}

/** How many notifications are kept for a slow reader: the latest. */
const notificationCapacity = 256

/** Whether a changed resource is the subscribed one, or below it. */
const isAt = (changed: string, subscribed: string): boolean =>
  changed.startsWith(subscribed) &&
  (changed.length === subscribed.length || /[/?#]$/.test(subscribed) || /^[/?#]/.test(changed.slice(subscribed.length)))

/** Ends a stream with the session that it was taken from. */
const whileOpen = <A>(
  { core, ended, ledger }: Source,
  stream: Stream.Stream<A, SessionError>
): Stream.Stream<A, SessionError> => {
  const tagged = ledger === undefined ? stream : Stream.mapError(stream, (error) => tagError({ error, ledger }))
  const closed = () => new SessionError({ server: core.managed.definition.name, reason: new SessionClosed() })
  return Stream.interruptWhen(tagged, Effect.flatMap(Deferred.await(ended), () => Effect.fail(closed())))
}

/** Registers interest in a resource, or in lists and logs, and streams what arrives. */
const listen = (source: Source, uri: string | undefined): Stream.Stream<Notification, SessionError> => {
  const { hub, managed, subscriptions } = source.core
  return whileOpen(
    source,
    Stream.unwrap(Effect.gen(function*() {
      // Filtered before it is buffered: a flood of other notifications must not displace these.
      const filter = uri === undefined
        ? undefined
        : (notification: Notification) => notification._tag === "ResourceUpdated" && isAt(notification.uri, uri)
      const buffer = yield* hub.subscribe({ capacity: notificationCapacity, filter })
      const { failed } = yield* subscriptions.register({
        uri,
        onListening: (listening) => buffer.offer(listening)
      })
      return Stream.make<[Notification]>(buffer.first(managed.generation)).pipe(
        Stream.concat(Stream.flattenArray(Stream.fromEffectRepeat(buffer.takeAll))),
        Stream.interruptWhen(failed)
      )
    }))
  )
}

/** The notifications of a server. */
export const notifications = (source: Source): Stream.Stream<Notification, SessionError> => listen(source, undefined)

/** The updates of a resource, and of the resources below it. */
export const updates = (source: Source, uri: string): Stream.Stream<Listening | ResourceUpdated, SessionError> =>
  Stream.filter(
    listen(source, uri),
    (notification): notification is Listening | ResourceUpdated =>
      notification._tag === "Listening" || notification._tag === "ResourceUpdated"
  )

/** A list, and again after each change. */
export const changes = <K extends ListKind>(
  source: Source,
  kind: K
): Stream.Stream<ReadonlyArray<ItemsOfLists[K]>, SessionError> => whileOpen(source, source.core.lists.watch(kind))
