/**
 * Notifications of a server: log messages, and changes of its lists and resources.
 *
 * **Example** (Watching the list of tools)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer, Stream } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   const everything = yield* sessions.get("everything")
 *   // Emits the current list, and the new list after each change.
 *   return yield* everything.watchTools.pipe(
 *     Stream.map((tools) => tools.some(({ name }) => name === "echo")),
 *     Stream.take(1),
 *     Stream.runCollect
 *   )
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(Effect.provide(program, live)) // => [true]
 * ```
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"

/**
 * The severities of log messages, from the least severe to the most severe.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/logging
 * @category models
 * @since 0.1.0
 */
export const logLevels = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"] as const

/**
 * Severity of a log message as in RFC 5424: from `debug` to `emergency`.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/logging
 * @category models
 * @since 0.1.0
 */
export type LogLevel = typeof logLevels[number]

/**
 * Log message of a server. `data` is any JSON value.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogMessage {
  readonly _tag: "LogMessage"
  /** The severity of the message. */
  readonly level: LogLevel
  /** Name of the component that logged the message, if the server gives one. */
  readonly logger: string | undefined
  /** The message: any JSON value. */
  readonly data: unknown
  /** The JSON-RPC id of the request in whose response stream it arrived, over HTTP. Absent where that is not known. */
  readonly call?: string | number
}

/**
 * Marks the start of notifications: from here on the server reports changes. Earlier changes, for example while there was no connection,
 * may have been missed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  readonly _tag: "Listening"
  /** The number of the connection, counted from 1. */
  readonly generation: number
  /** The number of notifications that were dropped here because they were not taken in time. Absent if none were. */
  readonly dropped?: number
}

/**
 * Reports that a resource, or one below it, has changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResourceUpdated {
  readonly _tag: "ResourceUpdated"
  /** The URI of the resource. */
  readonly uri: string
}

/**
 * Notification of a server, or `Listening` each time that notifications start. `Other` stands for unknown methods, and for known methods
 * with invalid params.
 *
 * @category models
 * @since 0.1.0
 */
export type Notification =
  | Listening
  | LogMessage
  | ResourceUpdated
  | { readonly _tag: "ToolsChanged" }
  | { readonly _tag: "ResourcesChanged" }
  | { readonly _tag: "PromptsChanged" }
  | { readonly _tag: "ElicitationCompleted"; readonly elicitationId: string }
  | { readonly _tag: "Other"; readonly method: string; readonly params: Record<string, unknown> | undefined }

/**
 * Notification as it is sent in JSON-RPC.
 *
 * @category models
 * @since 0.1.0
 */
export interface WireNotification {
  /** The JSON-RPC method, such as `notifications/message`. */
  readonly method: string
  /** The JSON-RPC params. */
  readonly params?: Record<string, unknown> | undefined
  /** The JSON-RPC id of the request in whose response stream it arrived, over HTTP. */
  readonly call?: string | number
}

const isLogLevel = (value: unknown): value is LogLevel => logLevels.some((level) => level === value)

/**
 * Decodes a notification.
 *
 * @internal
 */
export const fromWire = ({ call, method, params }: WireNotification): Notification => {
  switch (method) {
    case "notifications/message":
      if (isLogLevel(params?.level)) {
        const logger = Predicate.isString(params.logger) ? params.logger : undefined
        const { data, level } = params
        return { _tag: "LogMessage", level, logger, data, ...(call === undefined ? {} : { call }) }
      }
      break
    case "notifications/tools/list_changed":
      return { _tag: "ToolsChanged" }
    case "notifications/resources/list_changed":
      return { _tag: "ResourcesChanged" }
    case "notifications/prompts/list_changed":
      return { _tag: "PromptsChanged" }
    case "notifications/resources/updated":
      if (Predicate.isString(params?.uri)) return { _tag: "ResourceUpdated", uri: params.uri }
      break
    case "notifications/elicitation/complete":
      if (Predicate.isString(params?.elicitationId)) {
        return { _tag: "ElicitationCompleted", elicitationId: params.elicitationId }
      }
  }
  return { _tag: "Other", method, params }
}
