/**
 * Headers of revision 2026-07-28, which repeat what the body says: a proxy in between may have routed or limited the request by them, so a request
 * whose headers differ from the body is refused.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#server-validation
 */
import type { Tool } from "@mcp-sessions/core/Mcp"
import type { JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type { IncomingHttpHeaders } from "node:http"
import { type ParamHeader, paramHeadersOf, textAt } from "../../modern/paramHeaders.ts"
import { RpcError } from "../protocol/rpc.ts"
import { modernCodes, revisionOf } from "./modernMessage.ts"

/** The parameter that `Mcp-Name` repeats, by method. */
const nameOf: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"]
])

/** Decodes a header that may hold unsafe text as Base64; `undefined` if its Base64 is malformed. */
const decoded = (header: string): string | undefined => {
  const [, base64] = /^=\?base64\?(.*)\?=$/.exec(header) ?? []
  if (base64 === undefined) return header
  const bytes = Buffer.from(base64, "base64")
  return bytes.toString("base64") === base64 ? bytes.toString("utf8") : undefined
}

const mismatch = (name: string): RpcError =>
  new RpcError({ code: modernCodes.headerMismatch, message: `the header ${name} does not match the body` })

/** Whether a header says what a value of the body says. */
const agrees = (headers: IncomingHttpHeaders, name: string, value: unknown): boolean => {
  const header = headers[name]
  return Predicate.isString(header) && decoded(header) === value
}

/** Compares the headers that every request has. */
export const headerFaultOf = (
  { headers, message }: { readonly headers: IncomingHttpHeaders; readonly message: JSONRPCRequest }
): RpcError | undefined => {
  const { method, params } = message
  const key = nameOf.get(method)
  const expected = {
    "mcp-protocol-version": revisionOf(message),
    "mcp-method": method,
    ...(key === undefined ? {} : { "mcp-name": params?.[key] })
  }
  for (const [name, value] of Object.entries(expected)) if (!agrees(headers, name, value)) return mismatch(name)
  return undefined
}

/** The headers of the arguments by input schema. A schema that declares them wrongly declares none. */
const known = new WeakMap<object, ReadonlyArray<ParamHeader>>()

const paramHeaders = ({ inputSchema }: Tool): ReadonlyArray<ParamHeader> => {
  const found = known.get(inputSchema) ?? Result.getOrElse(paramHeadersOf(inputSchema), () => [])
  known.set(inputSchema, found)
  return found
}

/** Compares the `Mcp-Param-*` headers of a call with the arguments that the tool has repeated in them. */
export const paramFaultOf = ({ args, headers, tool }: {
  readonly args: unknown
  readonly headers: IncomingHttpHeaders
  readonly tool: Tool
}): RpcError | undefined => {
  for (const { name, path } of paramHeaders(tool)) {
    const header = `mcp-param-${name}`
    const text = textAt(args, path)
    if (text === undefined ? headers[header] !== undefined : !agrees(headers, header, text)) return mismatch(header)
  }
  return undefined
}
