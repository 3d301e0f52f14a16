/**
 * The format of a recording: one line of JSON for each event of a connection, in order.
 *
 * A `call` is a handshake, a request or `subscriptions/listen` of the client; the events of its outcome carry its `id`. An `ask` is a
 * request of the server to a handler of the client.
 */
import type { RequestRefused } from "@mcp-sessions/core/ClientHandlers"
import { CloseReason, ConnectReason, RequestReason } from "@mcp-sessions/core/SessionError"
import * as Schema from "effect/Schema"

const params = Schema.optional(Schema.Record(Schema.String, Schema.Unknown))

const on = { connection: Schema.Finite }

const ofCall = { ...on, id: Schema.Finite }

/** The method under which the recording has what a task asks, and all answers of the handlers as its result. It is not one of the protocol. */
export const answerInputCall = "tasks/answer"

/** The handlers of a client. */
export const HandlerName = Schema.Literals(["sampling", "form", "url", "roots"])

export const Event = Schema.Union([
  Schema.Struct({ event: Schema.Literal("connect"), ...on, server: Schema.String, kind: Schema.String }),
  Schema.Struct({ event: Schema.Literal("connect-failure"), ...on, server: Schema.String, reason: ConnectReason }),
  Schema.Struct({ event: Schema.Literal("call"), ...ofCall, method: Schema.String, params }),
  Schema.Struct({ event: Schema.Literal("progress"), ...ofCall, progress: Schema.Unknown }),
  Schema.Struct({ event: Schema.Literal("result"), ...ofCall, result: Schema.Unknown }),
  Schema.Struct({ event: Schema.Literal("failure"), ...ofCall, reason: Schema.Union([RequestReason, ConnectReason]) }),
  Schema.Struct({ event: Schema.Literal("cancelled"), ...ofCall }),
  /** The subscription of `subscriptions/listen` ended. */
  Schema.Struct({ event: Schema.Literal("ended"), ...ofCall }),
  Schema.Struct({ event: Schema.Literal("notification"), ...on, method: Schema.String, params }),
  Schema.Struct({
    event: Schema.Literal("ask"),
    ...ofCall,
    handler: HandlerName,
    params: Schema.Unknown,
    /** The call of the client on whose behalf the server asks, where that is known. */
    call: Schema.optional(Schema.Struct({
      id: Schema.Union([Schema.String, Schema.Finite]),
      method: Schema.String,
      tool: Schema.optional(Schema.String)
    }))
  }),
  Schema.Struct({ event: Schema.Literal("answer"), ...ofCall, answer: Schema.Unknown }),
  Schema.Struct({ event: Schema.Literal("closed"), ...on, reason: CloseReason })
])
export type Event = typeof Event.Type

/** A refusal of a handler, as an answer in a recording. */
export const refusalOf = ({ code, data, description }: RequestRefused) => ({ refused: description, code, data })

/** The first line of a recording. */
const Header = Schema.Struct({ recording: Schema.Literal("mcp-sessions"), version: Schema.Literal(1) })

const lineOf = <S extends Schema.Top>(schema: S) => Schema.fromJsonString(Schema.toCodecJson(schema))

const decodeHeaderLine = Schema.decodeUnknownEffect(lineOf(Header))
const decodeEventLine = Schema.decodeUnknownEffect(lineOf(Event))

export const decodeHeader = (line: string) => decodeHeaderLine(line)
export const decodeEvent = (line: string) => decodeEventLine(line)

/** The first line. */
export const header = Schema.encodeSync(lineOf(Header))({ recording: "mcp-sessions", version: 1 })

/** Returns a value as JSON would transmit it. */
export const asJson = (value: unknown): unknown => {
  try {
    return value === undefined ? null : JSON.parse(JSON.stringify(value))
  } catch {
    // A value that has no JSON is refused where it is sent, and cannot be recorded.
    return null
  }
}

const toJson = Schema.encodeSync(Schema.toCodecJson(Event))

/** The fields with text of others; the other fields are the format of the recording. */
const written = new Set(["params", "progress", "result", "reason", "answer"])

/** Whether a field names a type or method, which is never a secret. */
const isForm = (key: string): boolean => key === "_tag" || key === "type" || key === "method"

const mapText = (value: unknown, f: (text: string) => string): unknown => {
  if (typeof value === "string") return f(value)
  if (Array.isArray(value)) return value.map((item) => mapText(item, f))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, isForm(key) ? item : mapText(item, f)]))
}

/** Returns the line of an event. Each text of others in it passes through `redact`. */
export const encodeEvent = ({ event, redact }: {
  readonly event: Event
  readonly redact: (text: string) => string
}): string => {
  const json = toJson(event) as Record<string, unknown>
  return JSON.stringify(
    Object.fromEntries(
      Object.entries(json).map(([key, value]) => [key, written.has(key) ? mapText(value, redact) : value])
    )
  )
}
