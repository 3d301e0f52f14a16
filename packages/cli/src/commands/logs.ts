/**
 * `logs`: prints what a server logs, as MCP messages and on stderr.
 */
import { logLevels } from "@mcp-sessions/core/Notification"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { HeldSessions } from "../HeldSessions.ts"
import { textOf } from "../internal/text.ts"
import * as LogBook from "../LogBook.ts"
import { Output, type OutputClosed } from "../Output.ts"
import { content, line, type Shown } from "../Shown.ts"
import { root, timeout } from "./root.ts"
import { expectEnd, selectServer } from "./selection.ts"
import { clockText } from "./time.ts"
import { useServer } from "./useServer.ts"

const colours = {
  debug: "dim",
  info: "green",
  notice: "green",
  warning: "yellow",
  error: "red",
  critical: "red",
  alert: "red",
  emergency: "red"
} as const

/** Formats the data of a log message: a text as it is, anything else as JSON. */
const dataText = (data: unknown): string => textOf(data) ?? ExactNumbers.stringify(data)

const print = Effect.fnUntraced(function*(
  entry: LogBook.Entry,
  json: boolean
): Effect.fn.Return<void, OutputClosed, Output> {
  const output = yield* Output
  if (json) {
    const { time, ...rest } = entry
    const at = DateTime.formatIso(DateTime.makeUnsafe(time))
    return yield* output.printJsonLine({ schema: "mcp-sessions/1", time: at, ...rest })
  }
  const time = output.style("dim", clockText(entry.time))
  const label: Shown = entry.source === "stderr"
    ? output.style("dim", "stderr")
    : line`${output.style(colours[entry.level], entry.level)}${entry.logger === undefined ? "" : ` ${entry.logger}:`}`
  // Each line says where it is from, also to a program that selects lines.
  const lines = content(entry.source === "stderr" ? entry.line : dataText(entry.data)).text.split("\n")
  yield* Effect.forEach(lines, (text) => output.print(line`${time} ${label} ${content(text)}`), { discard: true })
})

export const logs = Command.make("logs", {
  words: Argument.String("server").pipe(
    Argument.withDescription("Name or URL of a server; or its command after --"),
    Argument.variadic()
  ),
  follow: Flag.Boolean("follow").pipe(
    Flag.withAlias("f"),
    Flag.withDescription("Keep the connection, and print what is logged until Ctrl+C"),
    Flag.withDefault(false)
  ),
  level: Flag.Literals("level", logLevels).pipe(
    Flag.withDescription("Lowest level of MCP log messages"),
    Flag.withDefault("debug" as const)
  ),
  stderr: Flag.Boolean("stderr").pipe(
    Flag.withDescription("Print only lines that the process of the server wrote to stderr"),
    Flag.withDefault(false)
  ),
  mcp: Flag.Boolean("mcp").pipe(Flag.withDescription("Print only MCP log messages"), Flag.withDefault(false)),
  timeout: timeout("Time limit for connecting")
}, ({ follow, level, mcp, stderr, timeout, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { rest, server } = yield* selectServer(words)
    yield* expectEnd(rest)
    const held = yield* HeldSessions
    const book = held?.logs ?? (yield* LogBook.make(level))
    const isWanted = (entry: LogBook.Entry) =>
      entry.server === server.name && (mcp === stderr || (entry.source === "mcp") === mcp) &&
      (entry.source === "stderr" || logLevels.indexOf(entry.level) >= logLevels.indexOf(level))
    const options = { server, limit: timeout, json, method: "logging/setLevel", handlers: book.handlers }
    if (!follow) {
      // What a server wrote before it failed to start is all the more wanted.
      const connected = yield* Effect.exit(useServer(options)(({ session }) => session.ping))
      const kept = (yield* book.kept).filter(isWanted)
      yield* Effect.forEach(kept, (entry) => print(entry, json), { discard: true })
      if (kept.length === 0 && !json) yield* output.note(line`nothing was logged`)
      return void (yield* connected)
    }
    yield* Effect.scoped(Effect.gen(function*() {
      const entries = yield* book.subscribe
      const connected = yield* useServer(options)(({ session }): Effect.Effect<void, SessionError> =>
        // For as long as there is a reader of its notifications, a lost connection is made again.
        Effect.andThen(output.progress(undefined), Stream.runDrain(session.notifications))
      ).pipe(
        // What the server wrote before its end is printed before the end is reported.
        Effect.ensuring(Queue.end(entries)),
        Effect.forkScoped
      )
      yield* Stream.runForEach(Stream.filter(Stream.fromQueue(entries), isWanted), (entry) => print(entry, json))
      return yield* Fiber.join(connected)
    }))
  })).pipe(
    Command.withDescription("Print what a server logs, as MCP messages and on stderr"),
    Command.withExamples([
      { command: "mcp-sessions logs files", description: "Connect, and print what the server logged until then" },
      { command: "mcp-sessions logs files -f --level warning", description: "Print log messages as they come" }
    ])
  )
