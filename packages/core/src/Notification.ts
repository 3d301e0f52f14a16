/**
 * What a server says without having been asked: log messages, and that something of its has changed.
 *
 * **Example** (Keeping a list of tools up to date)
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
 *   // The list as it is, and again whenever it has changed.
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

const logLevels = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"] as const

/**
 * How much a log message matters, as in RFC 5424: from `debug` to `emergency`.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/logging
 * @category models
 * @since 0.1.0
 */
export type LogLevel = typeof logLevels[number]

/**
 * A log message of a server. `data` is whatever the server logs.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogMessage {
  readonly _tag: "LogMessage"
  readonly level: LogLevel
  /** The part of the server that logs, if it says so. */
  readonly logger: string | undefined
  readonly data: unknown
}

/**
 * From here on the server tells of changes. What changed before, such as while there was no connection, it did not tell.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  readonly _tag: "Listening"
  /** The number of the connection. */
  readonly generation: number
}

/**
 * A resource has changed, or one below it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResourceUpdated {
  readonly _tag: "ResourceUpdated"
  readonly uri: string
}

/**
 * What a server says of its own accord, and `Listening` each time that it begins to. `Other` is what has no name here:
 * extensions, and known notifications of a shape that they should not have.
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
 * A notification as it is on the wire.
 *
 * @category models
 * @since 0.1.0
 */
export interface WireNotification {
  readonly method: string
  readonly params?: Record<string, unknown> | undefined
}

const isLogLevel = (value: unknown): value is LogLevel => logLevels.some((level) => level === value)

/**
 * Reads a notification off the wire.
 *
 * @internal
 */
export const fromWire = ({ method, params }: WireNotification): Notification => {
  switch (method) {
    case "notifications/message":
      if (isLogLevel(params?.level)) {
        const logger = Predicate.isString(params.logger) ? params.logger : undefined
        return { _tag: "LogMessage", level: params.level, logger, data: params.data }
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
