/**
 * Formats values of unknown shape.
 */
import * as JsonDocument from "@mcp-sessions/core/JsonDocument"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"

export const isJsonObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Returns a text; `undefined` for any other value. */
export const textOf = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

/** Returns the first line of a text that is not empty, with a mark if more follow. */
export const summaryOf = (text: string): string => {
  const [first = "", ...others] = text.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  return others.length === 0 ? first : `${first} …`
}

/** Counts things: `1 session`, `2 sessions`. */
export const countOf = (...[count, noun]: readonly [count: number, noun: string]): string =>
  `${count} ${noun}${count === 1 ? "" : "s"}`

/** Returns the first line of a text. */
export const firstLine = (text: string): string => text.split("\n", 1)[0] ?? ""

/** Says where a text is not JSON: `"; at line 1, column 2: expected …"`. Empty if it is JSON. */
export const faultOf = (text: string): string => {
  const fault = JsonDocument.faultOf(text)
  return fault === undefined ? "" : `; at line ${fault.line}, column ${fault.column}: expected ${fault.expected}`
}

/** The longest JSON that is quoted within a text, in characters. */
const quoteLimit = 2000

/** Returns the JSON of a value on one line, cut where it is long. */
export const quote = (value: unknown): string => {
  const json = ExactNumbers.stringify(value)
  return json.length <= quoteLimit ? json : `${json.slice(0, quoteLimit)}…`
}

const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`

/** Returns a command of this program for a server, as a shell takes it: a name can have spaces, or look like a flag. */
export const commandLine = (
  ...[command, server, ...words]: readonly [command: string, server: string, ...words: ReadonlyArray<string>]
): string =>
  `mcp-sessions ${command} ${server.startsWith("-") ? "-- " : ""}${[server, ...words].map(shellWord).join(" ")}`
