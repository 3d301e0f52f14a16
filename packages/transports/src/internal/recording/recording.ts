/**
 * The form of a recording: lines of JSON, one for each thing that happened on a connection, in the order in which it did.
 *
 * `call` is what the client does (a handshake, a request, `subscriptions/listen`); what comes of it has the same `id`. `ask`
 * is what the server asks of a handler of the client.
 */
import { CloseReason, ConnectReason, RequestReason } from "@mcp-sessions/core/SessionError"
import * as Schema from "effect/Schema"

const params = Schema.optional(Schema.Record(Schema.String, Schema.Unknown))

const on = { connection: Schema.Finite }

const ofCall = { ...on, id: Schema.Finite }

/** What can be asked of a client. */
export const HandlerName = Schema.Literals(["sampling", "form", "url", "roots"])

export const Event = Schema.Union([
  Schema.Struct({ event: Schema.Literal("connect"), ...on, server: Schema.String, kind: Schema.String }),
  Schema.Struct({ event: Schema.Literal("connect-failure"), ...on, server: Schema.String, reason: ConnectReason }),
  Schema.Struct({ event: Schema.Literal("call"), ...ofCall, method: Schema.String, params }),
  Schema.Struct({ event: Schema.Literal("progress"), ...ofCall, progress: Schema.Unknown }),
  Schema.Struct({ event: Schema.Literal("result"), ...ofCall, result: Schema.Unknown }),
  Schema.Struct({ event: Schema.Literal("failure"), ...ofCall, reason: Schema.Union([RequestReason, ConnectReason]) }),
  Schema.Struct({ event: Schema.Literal("cancelled"), ...ofCall }),
  /** The server has stopped to tell of what `subscriptions/listen` asked for. */
  Schema.Struct({ event: Schema.Literal("ended"), ...ofCall }),
  Schema.Struct({ event: Schema.Literal("notification"), ...on, method: Schema.String, params }),
  Schema.Struct({ event: Schema.Literal("ask"), ...ofCall, handler: HandlerName, params: Schema.Unknown }),
  Schema.Struct({ event: Schema.Literal("answer"), ...ofCall, answer: Schema.Unknown }),
  Schema.Struct({ event: Schema.Literal("closed"), ...on, reason: CloseReason })
])
export type Event = typeof Event.Type

/** The first line of a recording. */
const Header = Schema.Struct({ recording: Schema.Literal("mcp-sessions"), version: Schema.Literal(1) })

const lineOf = <S extends Schema.Top>(schema: S) => Schema.fromJsonString(Schema.toCodecJson(schema))

const decodeHeaderLine = Schema.decodeUnknownEffect(lineOf(Header))
const decodeEventLine = Schema.decodeUnknownEffect(lineOf(Event))

export const decodeHeader = (line: string) => decodeHeaderLine(line)
export const decodeEvent = (line: string) => decodeEventLine(line)

/** The first line. */
export const header = Schema.encodeSync(lineOf(Header))({ recording: "mcp-sessions", version: 1 })

/** A value as it would be after a journey over the wire: without what JSON has no words for. */
export const asJson = (value: unknown): unknown => {
  try {
    return value === undefined ? null : JSON.parse(JSON.stringify(value))
  } catch {
    // What cannot be sent is refused where it would be. Here it has no place.
    return null
  }
}

const toJson = Schema.encodeSync(Schema.toCodecJson(Event))

/** What others wrote; the rest is the form of the recording. */
const written = new Set(["params", "progress", "result", "reason", "answer"])

/** The text that says what a thing is, and is no secret. */
const isForm = (key: string): boolean => key === "_tag" || key === "type" || key === "method"

const mapText = (value: unknown, f: (text: string) => string): unknown => {
  if (typeof value === "string") return f(value)
  if (Array.isArray(value)) return value.map((item) => mapText(item, f))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, isForm(key) ? item : mapText(item, f)]))
}

/** The line of an event. What others wrote in it passes through `redact`, text by text. */
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
