/**
 * The log of `serve` on stderr: warnings and errors in the style of the notes of other commands.
 */
import { isSessionError } from "@mcp-sessions/core/McpSessions"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { adviceOf } from "../Advice.ts"
import { quote } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { content, cut, line, type Shown } from "../Shown.ts"
import { root } from "./root.ts"

/** How much of one part of an entry is shown, in characters. */
const partLimit = 4000

const labels: Readonly<Partial<Record<string, string>>> = {
  Warn: "warning: ",
  Error: "error: ",
  Fatal: "error: "
}

/** Returns the failure in a cause, or the cause with its stack if it is a defect. */
const ofCause = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> => {
  if (cause.reasons.length === 0) return []
  const failure = cause.reasons.find(Cause.isFailReason)
  return [failure === undefined ? Cause.pretty(cause) : failure.error]
}

const textOf = (part: unknown): string => {
  if (typeof part === "string") return part
  if (isSessionError(part)) return part.reason.message
  return part instanceof Error ? part.message : quote(part)
}

/** Shows an entry of the log: one line, further lines of its parts, and what helps if a server cannot be used. */
export const entryLines = ({ cause, logLevel, message }: Logger.Options<unknown>): ReadonlyArray<Shown> => {
  const parts = [...(Array.isArray(message) ? message : [message]), ...ofCause(cause)]
  const texts = parts.map((part) => cut(content(textOf(part)), partLimit).text.trimEnd().split("\n"))
  const error = parts.find(isSessionError)
  const hint = error === undefined ? undefined : adviceOf(error)
  return [
    line`${labels[logLevel] ?? ""}${content(texts.map(([first = ""]) => first).join(": "))}`,
    ...texts.flatMap(([, ...rest]) => rest.map((text) => line`  | ${content(text)}`)),
    ...(hint === undefined ? [] : [line`  try: ${hint}`])
  ]
}

/** Sends the log to stderr: as text, or with `--json` as one line of logfmt for each entry. */
export const logToStderr = Effect.gen(function*() {
  const { note, styleNote } = yield* Output
  const { json } = yield* root
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  return Logger.layer([Logger.make((entry) => {
    if (json) return void fork(note(content(Logger.formatLogFmt.log(entry))))
    const [first, ...rest] = entryLines(entry)
    if (first === undefined) return
    const isNotice = labels[entry.logLevel] === undefined
    fork(Effect.forEach([isNotice ? first : styleNote("yellow", first), ...rest], note, { discard: true }))
  })])
})
