/**
 * Task requests: whether a call of a client may become a task.
 *
 * In the revision 2025-11-25, clients ask for a task with a call. In 2026-07-28, the server decides, for clients that declare the extension.
 */
import { tasksExtension } from "@mcp-sessions/core/Connection"
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"
import { metaKeys } from "../../modern/requestMeta.ts"
import { textOrEmpty } from "../../textOrEmpty.ts"
import { codes, RpcError } from "../protocol/rpc.ts"
import type { ClientSession } from "./clientSession.ts"
import type { TaskPlace } from "./tasks.ts"

/** The only revision with tasks of its own. */
export const tasksRevision = "2025-11-25"

type Params = Readonly<Record<string, unknown>>

const memberOf = (value: unknown, key: string): unknown =>
  Predicate.isObject(value) ? (value as Record<string, unknown>)[key] : undefined

/** Whether a client is offered the tasks of the revision 2025-11-25. */
export const hasLegacyTasks = ({ protocolVersion, tasks }: ClientSession): boolean =>
  tasks.isOffered && protocolVersion === tasksRevision

/** Whether a request of 2026-07-28 declares the extension. */
export const declaresTasks = ({ params }: Pick<JSONRPCRequest, "params">): boolean =>
  Predicate.isObject(
    memberOf(memberOf(memberOf(params?._meta, metaKeys.clientCapabilities), "extensions"), tasksExtension)
  )

const refusal = (code: number, message: string): RpcError => new RpcError({ code, message })

/** Reserves a place for a call whose client asks for a task. Returns an error if the task is refused, and `undefined` if the client asks for none. */
export const askedPlace = (client: ClientSession, method: string, params: Params): TaskPlace | RpcError | undefined => {
  const { name, task } = params
  if (task === undefined || method !== "tools/call" || !hasLegacyTasks(client)) return undefined
  const tool = client.lists.offer.tool(textOrEmpty(name))
  if (tool === undefined) return undefined
  if (!client.lists.mayBeTask(tool)) {
    return refusal(codes.methodNotFound, `the tool ${JSON.stringify(name)} does not run as a task`)
  }
  const ttl = memberOf(task, "ttl")
  if (!Predicate.isObject(task) || (ttl !== undefined && !(Predicate.isNumber(ttl) && ttl >= 0 && ttl < Infinity))) {
    return refusal(codes.invalidParams, "task is not an object with a ttl in milliseconds")
  }
  return client.tasks.reserve(client, ttl as number | undefined)
}

/** Reserves a place for a call that the gateway may answer with a task. Without a place, the result is the answer. */
export const offeredPlace = (client: ClientSession, message: JSONRPCRequest): TaskPlace | undefined => {
  const { method, params } = message
  if (method !== "tools/call" || !client.tasks.isOffered || !declaresTasks(message)) return undefined
  const tool = client.lists.offer.tool(textOrEmpty(params?.name))
  if (tool === undefined || !client.lists.mayBeTask(tool)) return undefined
  const place = client.tasks.reserve(client)
  return place instanceof RpcError ? undefined : place
}
