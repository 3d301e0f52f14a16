/**
 * `call`: calls one tool.
 */
import type { CallToolResult, Progress } from "@mcp-sessions/core/Mcp"
import { OutcomeUnknown, RequestTimeout, SessionError } from "@mcp-sessions/core/SessionError"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Arguments from "../Arguments.ts"
import { ToolFailed, UsageError } from "../Failure.ts"
import * as process from "../internal/process.ts"
import { toJson } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { progressLabel } from "../ProgressLabel.ts"
import { root, timeout } from "./root.ts"
import { loadServers, splitTarget } from "./selection.ts"
import { withRetryNotes, withSessions, withTimeLimit } from "./sessions.ts"
import { findTool } from "./tools.ts"

const decodeJson = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Unknown))

/** Reads `--args`: JSON, a file, or standard input. */
const parseArgsFlag = Effect.fnUntraced(function*(text: Option.Option<string>) {
  if (Option.isNone(text)) return {}
  const fs = yield* FileSystem.FileSystem
  const source = text.value
  const json = source === "-"
    ? yield* Effect.promise(process.readInput)
    : source.startsWith("@")
    ? yield* fs.readFileString(source.slice(1)).pipe(
      Effect.mapError(() => new UsageError({ problems: [`--args: cannot read the file "${source.slice(1)}"`] }))
    )
    : source
  const decoded = decodeJson(json)
  if (Result.isFailure(decoded) || !Predicate.isObject(decoded.success) || Array.isArray(decoded.success)) {
    return yield* new UsageError({ problems: ["--args: expected a JSON object"] })
  }
  return decoded.success as Record<string, unknown>
})

/** Formats a result as text. */
const formatContent = (result: CallToolResult): string => {
  const blocks = result.content.map((block) => {
    switch (block.type) {
      case "text":
        return block.text
      case "image":
      case "audio":
        return `[${block.type} ${block.mimeType}, ${Math.floor(block.data.length * 3 / 4)} bytes]`
      case "resource":
        return "text" in block.resource ? block.resource.text : `[resource ${block.resource.uri}]`
      case "resource_link":
        return `[resource ${block.uri}]`
    }
  })
  return blocks.length === 0 && result.structuredContent !== undefined
    ? toJson(result.structuredContent, 2)
    : blocks.join("\n")
}

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
  const label = `${server}/${tool}`
  const startedAt = yield* Clock.monotonicTimeNanos
  yield* output.progress(`connecting to ${server} …`)
  const { args, session } = yield* Effect.gen(function*() {
    const session = yield* Effect.flatMap(Sessions, (sessions) => sessions.get(server))
    yield* output.progress(`calling ${label} …`)
    const definition = yield* Effect.flatMap(session.listTools(), (tools) => findTool({ tools, server, tool }))
    return { session, args: yield* Arguments.read({ tool: definition, words, base, validate }) }
  }).pipe(withTimeLimit({ server, limit }))

  /** The time of day, for the error. */
  const sentAt = yield* Clock.currentTimeMillis
  const left = Duration.max(
    Duration.subtract(limit, Duration.nanos((yield* Clock.monotonicTimeNanos) - startedAt)),
    Duration.millis(1)
  )
  const onProgress = (progress: Progress) =>
    output.progress(`calling ${label} … ${output.sanitizeNote(progressLabel(progress))}`)
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
      "Check the arguments against the schema of the tool before the call (--no-validate: send them unchecked)"
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
        hint: `mcp-sessions tools ${server}`
      })
    }
    const base = yield* parseArgsFlag(args)
    const servers = all.filter(({ name }) => name === server)
    const result = yield* connectAndCall({ server, tool, words, base, validate, limit: timeout }).pipe(
      Effect.scoped,
      withSessions({ servers, limit: timeout, retry: yield* withRetryNotes(json) }),
      Effect.ensuring(output.progress(""))
    )
    const text = output.sanitize(formatContent(result))
    if (json) yield* output.printJson(result)
    else if (result.isError !== true && text !== "") yield* output.print(text)
    if (result.isError === true) {
      return yield* new ToolFailed({ server, tool, kind: "ToolError", description: formatContent(result) })
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
