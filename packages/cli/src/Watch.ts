/**
 * Watches a server: its lists of tools, resources and prompts, and single resources.
 *
 * @since 0.1.0
 */
import type { ServerCapabilities } from "@mcp-sessions/core/Mcp"
import type { Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Stream from "effect/Stream"
import { isJsonObject, quote, textOf } from "./internal/text.ts"

/**
 * Kind of list that a server announces changes of.
 *
 * @category models
 * @since 0.1.0
 */
export type ListKind = "tools" | "resources" | "prompts"

/**
 * Something that happened at a server: a list as it is at the start, the difference of a list to the one before, a changed resource, or a gap
 * after which changes may have been missed.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly event: "listed"; readonly list: ListKind; readonly total: number }
  | {
    readonly event: "changed"
    readonly list: ListKind
    readonly total: number
    readonly added: ReadonlyArray<string>
    readonly removed: ReadonlyArray<string>
    readonly changed: ReadonlyArray<string>
  }
  | { readonly event: "subscribed"; readonly uri: string }
  | { readonly event: "updated"; readonly uri: string }
  | { readonly event: "missed"; readonly uri: string }

/** The items of a list by their names, each as JSON. */
type Items = ReadonlyMap<string, string>

const itemsOf = (list: ReadonlyArray<unknown>): Items =>
  new Map(list.map((item) => {
    const { name, uri } = isJsonObject(item) ? item : { name: undefined, uri: undefined }
    return [textOf(uri) ?? textOf(name) ?? quote(item), ExactNumbers.stringify(item)]
  }))

/** Compares a list with the one before. */
const difference = (list: ListKind, before: Items, after: Items): Event => {
  const names = [...after.keys()]
  return {
    event: "changed",
    list,
    total: after.size,
    added: names.filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed: names.filter((name) => before.has(name) && before.get(name) !== after.get(name))
  }
}

const listEvents = (
  list: ListKind,
  lists: Stream.Stream<ReadonlyArray<unknown>, SessionError>
): Stream.Stream<Event, SessionError> =>
  lists.pipe(
    Stream.mapAccum((): Items | undefined => undefined, (before, next) => {
      const after = itemsOf(next)
      const event: Event = before === undefined
        ? { event: "listed", list, total: after.size }
        : difference(list, before, after)
      return [after, [event]] as const
    })
  )

const resourceEvents = (session: Session, uri: string): Stream.Stream<Event, SessionError> =>
  session.subscribe(uri).pipe(
    Stream.mapAccum(() => false, (isListening, change) => {
      const event: Event = change._tag === "ResourceUpdated"
        ? { event: "updated", uri: change.uri }
        : { event: isListening ? "missed" : "subscribed", uri }
      return [true, [event]] as const
    })
  )

/**
 * The lists that a server has.
 *
 * @category getters
 * @since 0.1.0
 */
export const listsOf = (capabilities: ServerCapabilities): ReadonlyArray<ListKind> =>
  (["tools", "resources", "prompts"] as const).filter((list) => capabilities[list] !== undefined)

/**
 * The events of a server: of its lists, and of the resources with the URIs. Fails when the connection is lost and cannot be made again.
 *
 * @category streams
 * @since 0.1.0
 */
export const events = (options: {
  readonly session: Session
  readonly lists: ReadonlyArray<ListKind>
  readonly uris: ReadonlyArray<string>
}): Stream.Stream<Event, SessionError> => {
  const { lists, session, uris } = options
  const watched = { tools: session.watchTools, resources: session.watchResources, prompts: session.watchPrompts }
  return Stream.mergeAll(
    [
      ...lists.map((list) => listEvents(list, watched[list])),
      ...uris.map((uri) => resourceEvents(session, uri))
    ],
    { concurrency: "unbounded" }
  )
}
