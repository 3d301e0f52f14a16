/**
 * The era probe: the request `server/discover`, and what an answer to it means.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/server/discover
 */
import type { Implementation } from "@mcp-sessions/core/Mcp"
import { type ConnectReason, HandshakeFailed, ResponseLost } from "@mcp-sessions/core/SessionError"
import {
  type DiscoverResult,
  isSpecType,
  type JSONRPCRequest,
  type JSONRPCResponse
} from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"
import { isTooLarge } from "../http/httpExchange.ts"
import { makeRequestMeta } from "../modern/requestMeta.ts"
import { causesOf } from "../network/networkFailure.ts"
import { type EraEvent, isRefusal } from "./eraMachine.ts"

/** The revision of the modern era. */
const modernRevision = "2026-07-28"

/** Between the ids of the SDK's client, which counts from 0, and those of the engine. A number: some servers drop ids that are text. */
export const probeId = 999_999

/** JSON-RPC error of a server of the modern era that lacks the revision of a request. */
const unsupportedVersion = -32_022

export const probeRequest = (options: {
  readonly clientInfo: Implementation
  readonly clientCapabilities: object
}): JSONRPCRequest => ({
  jsonrpc: "2.0",
  id: probeId,
  method: "server/discover",
  params: { _meta: makeRequestMeta({ ...options, protocolVersion: modernRevision, logLevel: undefined }) }
})

const refused = (description: string, showsLegacy: boolean): EraEvent => ({
  _tag: "DiscoverRefused",
  reason: new HandshakeFailed({
    description: `the server does not offer revision ${modernRevision}: ${description}`
  }),
  showsLegacy
})

/** Reads a response to the probe: the result, if the server is of the modern era, and otherwise what the response means. */
export const readProbeResponse = (response: JSONRPCResponse): DiscoverResult | EraEvent => {
  if ("result" in response) {
    const { result } = response
    if (!isSpecType.DiscoverResult(result)) return refused("it answered server/discover with an invalid result", true)
    const { resultType = "complete", supportedVersions } = result as DiscoverResult & { readonly resultType?: unknown }
    if (resultType !== "complete") return refused("it answered server/discover with an invalid result", true)
    if (supportedVersions.includes(modernRevision)) return result
    return refused(`it supports ${supportedVersions.join(", ")}`, supportedVersions.some((version) => version < "2026"))
  }
  const { error: { code, message } } = response
  return refused(`${message} (code ${code})`, code !== unsupportedVersion)
}

const hasSupported = Schema.is(Schema.Struct({ supported: Schema.Array(Schema.String) }))

/**
 * Whether a server refused the revision of the probe, and names that very revision as one that it supports: the client is to choose from
 * the list and ask again.
 */
export const isToBeRepeated = (response: JSONRPCResponse): boolean =>
  "error" in response && response.error.code === unsupportedVersion && hasSupported(response.error.data) &&
  response.error.data.supported.includes(modernRevision)

export const isEraEvent = (value: DiscoverResult | EraEvent): value is EraEvent => "_tag" in value

const isLost = Schema.is(ResponseLost)

/**
 * Says what it means that the probe could not be sent or was answered otherwise than by a JSON-RPC response: `reason` is what `error` means
 * for a connect. Whatever the server answered is a refusal, but for missing credentials and redirects.
 */
export const readProbeFailure = (error: unknown, reason: ConnectReason): EraEvent => {
  const isAnswered = isRefusal(reason) || (reason._tag === "HttpFailed" && reason.status >= 400) ||
    causesOf(error).some((link) => isLost(link) || isTooLarge(link))
  return isAnswered
    ? { _tag: "DiscoverRefused", reason, showsLegacy: isRefusal(reason) }
    : { _tag: "DiscoverFailed", reason }
}
