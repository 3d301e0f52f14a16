/**
 * `call`: calls one tool.
 */
import type { CallToolResult } from "@mcp-sessions/core/Mcp"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Arguments from "../Arguments.ts"
import type { ConfiguredServer } from "../Configured.ts"
import * as Content from "../Content.ts"
import { ToolFailed, UsageError } from "../Failure.ts"
import { readRegularFile } from "../internal/regularFile.ts"
import { faultOf, isJsonObject } from "../internal/text.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { printParts, saveParts } from "../Results.ts"
import { prepare } from "../Save.ts"
import * as ToolNames from "../ToolNames.ts"
import { input, root, saveTo, timeout } from "./root.ts"
import { selectItem } from "./selection.ts"
import { findTool } from "./tools.ts"
import { useServer } from "./useServer.ts"

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
    () => new UsageError({ problems: [`--args: expected a JSON object${faultOf(json)}`] })
  )
})

/** A call that would be made, or the result of one that was. */
type Outcome =
  | { readonly _tag: "Planned"; readonly request: unknown }
  | { readonly _tag: "Called"; readonly result: CallToolResult }

/** Connects, parses the arguments with the schema of the tool and calls it. */
const connectAndCall = Effect.fnUntraced(function*(options: {
  readonly server: ConfiguredServer
  readonly tool: string
  readonly words: ReadonlyArray<string>
  readonly base: Readonly<Record<string, unknown>>
  readonly validate: boolean
  readonly isDry: boolean
  readonly input: boolean
  readonly json: boolean
  readonly limit: Duration.Duration
}) {
  const { base, input, isDry, json, limit, server, tool, validate, words } = options
  const { directory } = yield* Invocation
  const label = `${server.name}/${tool}`
  return yield* useServer({ server, limit, json, input, tool, method: "tools/call" })(({ request, session }) =>
    Effect.gen(function*() {
      const tools = yield* request(`listing the tools of ${server.name}`, () => session.listTools())
      yield* ToolNames.remember(server, tools)
      const definition = yield* findTool({ tools, server, tool })
      const args = yield* Arguments.read({ tool: definition, words, base, validate, directory })
      if (isDry) {
        return { _tag: "Planned", request: { method: "tools/call", params: { name: tool, arguments: args } } } as const
      }
      const result = yield* request(`calling ${label}`, (options) => session.callTool(tool, args, options))
      return { _tag: "Called", result } as const
    })
  )
})

/** Prints a result, or fails with it if the tool reports an error. */
const printResult = Effect.fnUntraced(function*(options: {
  readonly result: CallToolResult
  readonly server: string
  readonly tool: string
  readonly json: boolean
  readonly raw: boolean
  readonly directory: string | undefined
}) {
  const { directory, json, raw, result, server, tool } = options
  const output = yield* Output
  const parts = Content.partsOf(result)
  if (raw) yield* output.printContent(ExactNumbers.stringify(result))
  else if (json) yield* output.printJson(result)
  else if (result.isError !== true) yield* printParts({ parts, directory })
  if ((raw || json) && directory !== undefined) {
    yield* output.noteJson({ saved: yield* saveParts({ parts, directory }) })
  }
  if (result.isError === true) {
    return yield* new ToolFailed({ server, tool, kind: "ToolError", description: Content.format(result) })
  }
})

export const call = Command.make("call", {
  words: Argument.String("server/tool").pipe(
    Argument.withDescription(
      "Tool to call, and its arguments: key=value, key:=JSON or key=@file; use dots for nested keys, and repeat a key for a list. In place of a configured server, a URL before the tool, or a command after --"
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
  isDry: Flag.Boolean("dry-run").pipe(
    Flag.withDescription(
      "Print the request that would be sent, checked against the schema of the tool, and do not call the tool"
    ),
    Flag.withDefault(false)
  ),
  raw: Flag.Boolean("raw").pipe(
    Flag.withDescription("Print the result as one line of JSON, with numbers and text as the server wrote them"),
    Flag.withDefault(false)
  ),
  save: saveTo("Save images, audio and resources of the result to new files of this directory, and print their paths"),
  input,
  timeout: timeout("Time limit for connecting, calling and closing together")
}, ({ args, input, isDry, raw, save, timeout, validate, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { item: tool, rest, server } = yield* selectItem({ words, kind: "tool", command: "call" })
    const base = yield* parseArgsFlag(args)
    const directory = Option.isNone(save) ? undefined : yield* prepare(save.value)
    const options = { server, tool, words: rest, base, validate, isDry, input, json, limit: timeout }
    const outcome: Outcome = yield* connectAndCall(options)
    if (outcome._tag === "Planned") return yield* output.printJson(outcome.request)
    yield* printResult({ result: outcome.result, server: server.name, tool, json, raw, directory })
  })).pipe(
    Command.withDescription("Call a tool and print its result"),
    Command.withExamples([
      { command: "mcp-sessions call files/read_text_file path=README.md", description: "Pass arguments by name" },
      {
        command: "mcp-sessions call db/query --args @query.json --json",
        description: "Read arguments from a file and print JSON"
      },
      { command: "mcp-sessions call https://example.com/mcp echo message=hi", description: "Call a server by its URL" },
      {
        command: "mcp-sessions call echo message=hi -- npx -y @modelcontextprotocol/server-everything",
        description: "Start a server for one call"
      }
    ])
  )
