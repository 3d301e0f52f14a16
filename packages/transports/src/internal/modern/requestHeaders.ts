/**
 * Builds the HTTP headers that repeat what the body of a request of 2026-07-28 says, so that proxies can route it unread.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#standard-headers
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import { appendParamHeaders, encodeHeader } from "./paramHeaders.ts"
import { metaKeys } from "./requestMeta.ts"
import type { ToolHeaders } from "./toolHeaders.ts"

/** The parameter that `Mcp-Name` repeats, by method. */
const nameOf = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"]
])

/** The revision that a request names in its `_meta`; `undefined` in the legacy era. */
export const revisionOf = ({ params }: Pick<JSONRPCRequest, "params">): string | undefined => {
  const revision = (params?._meta as Record<string, unknown> | undefined)?.[metaKeys.protocolVersion]
  return typeof revision === "string" ? revision : undefined
}

/** Appends the headers of a request to a flat list of names and values. Does nothing in the legacy era. */
export const appendRequestHeaders = (options: {
  readonly to: Array<string>
  readonly message: Pick<JSONRPCRequest, "method" | "params">
  readonly tools: ToolHeaders
}): void => {
  const { message, to, tools } = options
  const { method, params } = message
  const revision = revisionOf(message)
  if (revision === undefined) return
  to.push("mcp-protocol-version", revision, "mcp-method", method)
  const key = nameOf.get(method)
  const name = key === undefined ? undefined : params?.[key]
  if (typeof name === "string") to.push("mcp-name", encodeHeader(name))
  if (method !== "tools/call") return
  const headers = tools.of(name)
  if (headers !== undefined) appendParamHeaders({ to, headers, args: params?.arguments })
}
