/**
 * Builds the `_meta` that each request of 2026-07-28 carries in place of a handshake.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic#request-metadata
 */
import type { Implementation } from "@mcp-sessions/core/Mcp"
import type { LogLevel } from "@mcp-sessions/core/Notification"
import * as Predicate from "effect/Predicate"

/** The reserved keys, as the SDK exports them. Written out, since only `sdk/` loads the SDK. */
export const metaKeys = {
  protocolVersion: "io.modelcontextprotocol/protocolVersion",
  clientInfo: "io.modelcontextprotocol/clientInfo",
  clientCapabilities: "io.modelcontextprotocol/clientCapabilities",
  logLevel: "io.modelcontextprotocol/logLevel"
} as const

/** The `_meta` that all requests of a connection share. */
export type RequestMeta = Readonly<Record<string, unknown>>

/** Makes the shared `_meta` of a connection. `logLevel` is the lowest level of the log messages that a request asks for. */
export const makeRequestMeta = (options: {
  readonly protocolVersion: string
  readonly clientInfo: Implementation
  readonly clientCapabilities: object
  readonly logLevel: LogLevel | undefined
}): RequestMeta => ({
  [metaKeys.protocolVersion]: options.protocolVersion,
  [metaKeys.clientInfo]: options.clientInfo,
  [metaKeys.clientCapabilities]: options.clientCapabilities,
  ...(options.logLevel === undefined ? {} : { [metaKeys.logLevel]: options.logLevel })
})

/** Adds the shared `_meta` and a progress token to params. Other keys of the caller's `_meta` win over the shared ones. */
export const withRequestMeta = (options: {
  readonly params: Record<string, unknown> | undefined
  readonly meta: RequestMeta
  readonly progressToken: string | number | undefined
}): Record<string, unknown> => {
  const { meta, params, progressToken } = options
  const given = params?._meta
  const own = Predicate.isObject(given) ? { ...meta, ...given } : meta
  return { ...params, _meta: progressToken === undefined ? own : { ...own, progressToken } }
}
