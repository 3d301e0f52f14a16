/**
 * Builds the `_meta` that each request of 2026-07-28 carries in place of a handshake.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic#request-metadata
 */
import { tasksExtension } from "@mcp-sessions/core/Connection"
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

const objectOf = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  Predicate.isObject(value) ? value as Readonly<Record<string, unknown>> : undefined

/** The capabilities that params declare for their request alone. */
const ownCapabilities = (params: Record<string, unknown> | undefined) =>
  objectOf(objectOf(params?._meta)?.[metaKeys.clientCapabilities])

/** Whether params declare for their request that the client knows tasks. */
export const declaresTasks = (params: Record<string, unknown> | undefined): boolean =>
  objectOf(ownCapabilities(params)?.extensions)?.[tasksExtension] !== undefined

/** Adds the capabilities that a request declares to those that all requests of the connection declare. */
const addCapabilities = (
  meta: RequestMeta,
  own: Readonly<Record<string, unknown>>
): Readonly<Record<string, unknown>> => {
  const shared = objectOf(meta[metaKeys.clientCapabilities])
  const extensions = { ...objectOf(shared?.extensions), ...objectOf(own.extensions) }
  return { ...shared, ...own, ...(Object.keys(extensions).length === 0 ? {} : { extensions }) }
}

/**
 * Adds the shared `_meta` and a progress token to params. Capabilities of the caller's `_meta` are added to the shared ones; its other keys win over
 * them.
 */
export const withRequestMeta = (options: {
  readonly params: Record<string, unknown> | undefined
  readonly meta: RequestMeta
  readonly progressToken: string | number | undefined
}): Record<string, unknown> => {
  const { meta, params, progressToken } = options
  const given = params?._meta
  const capabilities = ownCapabilities(params)
  const added = capabilities === undefined
    ? undefined
    : { [metaKeys.clientCapabilities]: addCapabilities(meta, capabilities) }
  const own = Predicate.isObject(given) ? { ...meta, ...given, ...added } : meta
  return { ...params, _meta: progressToken === undefined ? own : { ...own, progressToken } }
}
