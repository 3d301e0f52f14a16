/**
 * Subscriptions of revision 2026-07-28: `subscriptions/listen` asks for the changes that its filter names, over HTTP as the response.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/utilities/subscriptions
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { Catalog, ChangedList } from "../catalog/catalog.ts"
import type { ClientSession } from "../client/clientSession.ts"
import type { Task } from "../client/task.ts"
import { codes, encodeNotification, RpcError } from "../protocol/rpc.ts"

const subscriptionKey = "io.modelcontextprotocol/subscriptionId"

/** How many resources and tasks one stream may name, and how many streams one client may have. */
const [resourceLimit, streamLimit] = [256, 64]

const keys: Readonly<Record<ChangedList, string>> = {
  tools: "toolsListChanged",
  resources: "resourcesListChanged",
  prompts: "promptsListChanged"
}

/** Sends changes from now on. Returns what ends that, or why there are too many already. */
export const listen = (options: {
  readonly catalog: Catalog
  readonly client: ClientSession
  readonly send: (message: string) => void
  readonly message: JSONRPCRequest
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}): (() => void) | RpcError => {
  const { catalog, client, fork, message: { id, params }, send } = options
  const filter = (Predicate.isObject(params?.notifications) ? params.notifications : {}) as Record<string, unknown>
  const { resourceSubscriptions, taskIds } = filter
  const named = Array.isArray(resourceSubscriptions) ? resourceSubscriptions.filter(Predicate.isString) : []
  const tasks = (Array.isArray(taskIds) ? taskIds : []).flatMap((id) => client.tasks.find(id, client) ?? [])
  if (named.length + tasks.length > resourceLimit || client.listening >= streamLimit) {
    return new RpcError({ code: codes.limited, message: "too many subscriptions" })
  }
  const _meta = { [subscriptionKey]: id }
  const notify = (method: string, params: object = {}) => send(encodeNotification(method, { ...params, _meta }))
  const uris = named.flatMap((uri) => {
    const server = client.lists.offer.serverOf(uri)
    return server === undefined ? [] : [{ uri, server }]
  })
  const wanted = Object.values(keys).filter((key) => filter[key] === true)

  client.listening++
  notify("notifications/subscriptions/acknowledged", {
    notifications: {
      ...Object.fromEntries(wanted.map((key) => [key, true])),
      ...(tasks.length === 0 ? {} : { taskIds: tasks.map(({ id }) => id) }),
      ...(named.length === 0 ? {} : { resourceSubscriptions: uris.map(({ uri }) => uri) })
    }
  })
  const onChange = (list: ChangedList) => {
    if (wanted.includes(keys[list])) notify(`notifications/${list}/list_changed`)
  }
  const remove = catalog.onChange(onChange)
  client.listListeners.add(onChange)
  const updates = uris.map(({ server, uri }) =>
    fork(
      Effect.flatMap(client.upstreams.get(server), (session) =>
        Stream.runForEach(session.subscribe(uri), (update) =>
          Effect.sync(() => {
            if (update._tag === "ResourceUpdated") {
              notify("notifications/resources/updated", { uri: update.uri })
            }
          }))).pipe(
          Effect.catch((error) =>
            Effect.logWarning(`a subscription at ${server} has ended`, error)
          )
        )
    )
  )
  const notifyOf = (task: Task) => notify("notifications/tasks", task.detailed)
  const removeAll = tasks.map((task) => task.onChange(() => notifyOf(task)))
  // It may have changed since the client asked for it.
  for (const task of tasks) notifyOf(task)
  return () => {
    for (const remove of removeAll) remove()
    client.listening--
    client.touch()
    remove()
    client.listListeners.delete(onChange)
    fork(Fiber.interruptAll(updates))
  }
}
