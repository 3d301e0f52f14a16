/**
 * `call`: calls one tool.
 */
import type { Progress } from "@mcp-sessions/core/Mcp"
import { OutcomeUnknown, RequestTimeout, SessionError } from "@mcp-sessions/core/SessionError"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Arguments from "../Arguments.ts"
import * as Content from "../Content.ts"
import { ToolFailed, UsageError } from "../Failure.ts"
import { readRegularFile } from "../internal/regularFile.ts"
import { commandLine, isJsonObject } from "../internal/text.ts"
import { Invocation } from "../Invocation.ts"
import * as JsonDocument from "../JsonDocument.ts"
import { Output } from "../Output.ts"
import { progressLabel } from "../ProgressLabel.ts"
import { line } from "../Shown.ts"
import { root, timeout } from "./root.ts"
import { loadServers, splitTarget } from "./selection.ts"
import { withRetryNotes, withSessions, withTimeLimit } from "./sessions.ts"
import { findTool } from "./tools.ts"

/** The largest file of arguments, in MiB. */
const fileLimit = 64

/** Reads `--args`: JSON, a file, or standard input. */
const parseArgsFlag = Effect.fnUntraced(function*(text: Option.Option<string>) {
  if (Option.isNone(text)) return {}
  const source = text.value
  const { directory, stdin } = yield* Invocation
  const read = source === "-"
    ? stdin.readAll(fileLimit * 1024 ** 2)
    : source.startsWith("@")
    ? readRegularFile({ directory, path: source.slice(1), mebibytes: fileLimit })
    : Effect.succeed(source)
  const json = yield* Effect.mapError(read, (refusal) => new UsageError({ problems: [`--args: ${refusal}`] }))
  const args = Option.filter(ExactNumbers.parse(json), isJsonObject)
  return yield* Effect.mapError(
    Effect.fromOption(args),
    () => new UsageError({ problems: [`--args: expected a JSON object${JsonDocument.faultOf(json)}`] })
  )
})

/** Connects, parses the arguments with the schema of the tool and calls it, all within one time limit. */
const connectAndCall = Effect.fnUntraced(function*(options: {
  readonly server: string
  readonly tool: string
  readonly words: ReadonlyArray<string>
  readonly base: Readonly<Record<string, unknown>>
  readonly validate: boolean
  readonly limit: Duration.Duration
}) {
  const { base, limit, server, tool, validate, words } = options
  const output = yield* Output
  const { directory } = yield* Invocation
  const label = `${server}/${tool}`
  const startedAt = yield* Clock.monotonicTimeNanos
  yield* output.progress(line`connecting to ${server} …`)
  const { args, session } = yield* Effect.gen(function*() {
    const session = yield* Effect.flatMap(Sessions, (sessions) => sessions.get(server))
    yield* output.progress(line`calling ${label} …`)
    const definition = yield* Effect.flatMap(session.listTools(), (tools) => findTool({ tools, server, tool }))
    return { session, args: yield* Arguments.read({ tool: definition, words, base, validate, directory }) }
  }).pipe(withTimeLimit({ server, limit }))

  /** The time of day, for the error. */
  const sentAt = yield* Clock.currentTimeMillis
  const left = Duration.max(
    Duration.subtract(limit, Duration.nanos((yield* Clock.monotonicTimeNanos) - startedAt)),
    Duration.millis(1)
  )
  const onProgress = (progress: Progress) => output.progress(line`calling ${label} … ${progressLabel(progress)}`)
  return yield* session.callTool(tool, args, { timeout: left, onProgress }).pipe(
    // Without this, retries could exceed the limit. A call that was in flight at that time may have run.
    Effect.timeoutOrElse({
      duration: Duration.sum(left, Duration.millis(50)),
      orElse: () => {
        const timeout = Duration.toMillis(limit)
        const lost = new RequestTimeout({ method: "tools/call", timeout, delivery: "Unknown" })
        const reason = new OutcomeUnknown({ method: "tools/call", tool, sentAt, lost })
        return Effect.fail(new SessionError({ server, reason }))
      }
    })
  )
})

export const call = Command.make("call", {
  target: Argument.String("server/tool").pipe(Argument.withDescription("Tool to call")),
  words: Argument.String("argument").pipe(
    Argument.withDescription(
      "key=value, key:=JSON or key=@file; use dots for nested keys, and repeat a key for a list"
    ),
    Argument.variadic()
  ),
  args: Flag.String("args").pipe(
    Flag.withMetavar("json"),
    Flag.withDescription("Arguments as a JSON object, @file, or - for standard input; arguments by name override them"),
    Flag.optional
  ),
  validate: Flag.Boolean("validate").pipe(
    Flag.withDescription(
      "Check the arguments against the schema of the tool before the call (--no-validate: send them unchecked; what does not fit is sent as text)"
    ),
    Flag.withDefault(true)
  ),
  timeout: timeout("Time limit for connecting and calling together")
}, ({ args, target, timeout, validate, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const all = yield* loadServers
    const { server, tool } = yield* splitTarget(target, all)
    if (tool === undefined || tool === "") {
      return yield* new UsageError({
        problems: [`missing tool name; expected ${server}/<tool>`],
        hint: commandLine("tools", server)
      })
    }
    const base = yield* parseArgsFlag(args)
    const servers = all.filter(({ name }) => name === server)
    const result = yield* connectAndCall({ server, tool, words, base, validate, limit: timeout }).pipe(
      Effect.scoped,
      withSessions({ servers, limit: timeout, retry: yield* withRetryNotes(json) }),
      Effect.ensuring(output.progress(undefined))
    )
    const text = Content.format(result)
    if (json) yield* output.printJson(result)
    else if (result.isError !== true && text !== "") yield* output.printContent(text)
    if (result.isError === true) {
      return yield* new ToolFailed({ server, tool, kind: "ToolError", description: text })
    }
  })).pipe(
    Command.withDescription("Call a tool and print its result"),
    Command.withExamples([
      { command: "mcp-sessions call files/read_text_file path=README.md", description: "Pass arguments by name" },
      {
        command: "mcp-sessions call db/query --args @query.json --json",
        description: "Read arguments from a file and print JSON"
      }
    ])
  )
