/**
 * Messages of revision 2026-07-28: what each says in its `_meta` in place of a handshake, and what the gateway answers to `server/discover`.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic#request-metadata
 */
import type { DeclaredCapabilities } from "@mcp-sessions/core/ClientHandlers"
import { tasksExtension } from "@mcp-sessions/core/Connection"
import type { LogLevel } from "@mcp-sessions/core/Notification"
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"
import { metaKeys } from "../../modern/requestMeta.ts"
import type { Catalog } from "../catalog/catalog.ts"
import { levelOf } from "../client/clientLog.ts"
import { modernRevision } from "../client/clientSession.ts"
import { declaresTasks } from "../client/taskRequests.ts"
import type { Tasks } from "../client/tasks.ts"
import { capabilitiesFrom } from "../protocol/capabilities.ts"
import { codes, RpcError } from "../protocol/rpc.ts"

/** The codes of errors that this revision adds. */
export const modernCodes = {
  headerMismatch: -32_020,
  /** A server needs a capability that the client has not declared. */
  capabilityMissing: -32_021,
  unsupportedVersion: -32_022
} as const

/** The methods of the revision that the gateway handles as those before it, and whether clients may cache their results. */
export const served: ReadonlyMap<string, { readonly isCacheable: boolean }> = new Map([
  ["tools/list", { isCacheable: true }],
  ["tools/call", { isCacheable: false }],
  ["resources/list", { isCacheable: true }],
  ["resources/templates/list", { isCacheable: true }],
  ["resources/read", { isCacheable: true }],
  ["prompts/list", { isCacheable: true }],
  ["prompts/get", { isCacheable: false }],
  ["completion/complete", { isCacheable: false }],
  ["tasks/get", { isCacheable: false }],
  ["tasks/update", { isCacheable: false }],
  ["tasks/cancel", { isCacheable: false }]
])

/** Whether a method is about a task. */
export const isOfTask = (method: string): boolean => method.startsWith("tasks/")

/** Whether the gateway handles a method of the revision. */
export const isServed = (method: string, { isOffered }: Pick<Tasks, "isOffered">): boolean =>
  method === "subscriptions/listen" || (served.has(method) && (isOffered || !isOfTask(method)))

/** Clients must not cache results, because `list_changed` reaches a client only while it listens. */
export const uncached = { ttlMs: 0, cacheScope: "private" } as const

export const serverInfoKey = "io.modelcontextprotocol/serverInfo"

const capabilities = {
  tools: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  prompts: { listChanged: true },
  completions: {},
  logging: {}
}

const metaOf = ({ params }: Pick<JSONRPCRequest, "params">): Readonly<Record<string, unknown>> =>
  Predicate.isObject(params?._meta) ? params._meta : {}

/** The revision that a request names. */
export const revisionOf = (message: JSONRPCRequest): unknown => metaOf(message)[metaKeys.protocolVersion]

/** What a request declares. The revision knows no notification of changed roots. */
export const capabilitiesOf = (message: JSONRPCRequest): DeclaredCapabilities => {
  const { roots, ...others } = capabilitiesFrom(metaOf(message)[metaKeys.clientCapabilities] ?? {})
  return roots === undefined ? others : { ...others, roots: {} }
}

/** The lowest level of the log messages that a request asks for; `undefined` for a request that asks for none. */
export const logLevelOf = (message: JSONRPCRequest): LogLevel | undefined => levelOf(metaOf(message)[metaKeys.logLevel])

/** What a request lacks in its `_meta`. */
export const metaFaultOf = (message: JSONRPCRequest): RpcError | undefined =>
  Predicate.isString(revisionOf(message)) && Predicate.isObject(metaOf(message)[metaKeys.clientCapabilities])
    ? undefined
    : new RpcError({
      code: codes.invalidParams,
      message: "_meta lacks the protocol version or the capabilities of the client"
    })

/** The error of a request of another revision. */
export const versionFaultOf = (message: JSONRPCRequest): RpcError | undefined => {
  const requested = revisionOf(message)
  return requested === modernRevision ? undefined : new RpcError({
    code: modernCodes.unsupportedVersion,
    message: "Unsupported protocol version",
    data: { supported: [modernRevision], requested }
  })
}

const requiredCapabilities = { extensions: { [tasksExtension]: {} } }

/** The error of a request about tasks whose client does not declare the extension. */
export const taskFaultOf = (message: JSONRPCRequest): RpcError | undefined => {
  const { method, params } = message
  const isAbout = isOfTask(method) ||
    (method === "subscriptions/listen" && Predicate.hasProperty(params?.notifications, "taskIds"))
  return !isAbout || declaresTasks(message) ? undefined : new RpcError({
    code: modernCodes.capabilityMissing,
    message: `${method} needs a client that declares the extension ${tasksExtension}`,
    data: { requiredCapabilities }
  })
}

/** The result of `server/discover`. */
export const discovered = ({ catalog: { instructions }, serverInfo, tasks }: {
  readonly catalog: Catalog
  readonly tasks: Tasks
  readonly serverInfo: { readonly name: string; readonly version: string }
}): object => ({
  resultType: "complete",
  supportedVersions: [modernRevision],
  capabilities: tasks.isOffered ? { ...capabilities, ...requiredCapabilities } : capabilities,
  ...(instructions === undefined ? {} : { instructions }),
  ...uncached,
  _meta: { [serverInfoKey]: serverInfo }
})
