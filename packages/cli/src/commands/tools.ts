/**
 * `tools`: lists the tools of servers.
 */
import type { Tool } from "@mcp-sessions/core/Mcp"
import { Sessions } from "@mcp-sessions/core/Sessions"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { envelope, lines, ToolFailed } from "../Failure.ts"
import { toJson } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { closest } from "../Suggestion.ts"
import { columns } from "../Table.ts"
import { configured, noteNoServers, root, timeout, withRetryNotes, withSessions, withTimeLimit } from "./root.ts"
import { split } from "./target.ts"

/** Finds a tool by name. Fails with a suggestion if there is none. */
export const findTool = (options: {
  readonly tools: ReadonlyArray<Tool>
  readonly server: string
  readonly tool: string
}): Effect.Effect<Tool, ToolFailed> => {
  const { server, tool, tools } = options
  const found = tools.find(({ name }) => name === tool)
  if (found !== undefined) return Effect.succeed(found)
  const meant = closest(tool, tools.map(({ name }) => name))
  return Effect.fail(
    new ToolFailed({
      server,
      tool,
      kind: "ToolNotFound",
      description: `${server} has no tool ${tool}${meant === undefined ? "" : `, did you mean ${meant}?`}`,
      hint: `mcp-sessions tools ${server}`
    })
  )
}

const describe = Effect.fnUntraced(function*(tool: Tool, schema: boolean) {
  const output = yield* Output
  yield* output.answer(output.style("bold", output.peer(tool.name)))
  if (tool.description !== undefined) yield* output.answer(output.peer(tool.description))
  if (schema) yield* output.answer(output.peer(toJson(tool.inputSchema, 2)))
})

export const tools = Command.make("tools", {
  target: Argument.String("server[/tool]").pipe(
    Argument.withDescription("Server, or one of its tools (default: all enabled servers)"),
    Argument.optional
  ),
  grep: Flag.String("grep").pipe(
    Flag.withDescription("Show only tools whose name or description contains this text"),
    Flag.optional
  ),
  schema: Flag.Boolean("schema").pipe(
    Flag.withDescription("Show the input schema of each tool"),
    Flag.withDefault(false)
  ),
  timeout: timeout("Time limit for each server")
}, ({ grep, schema, target, timeout }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const all = yield* configured
    const { server, tool } = Option.isNone(target)
      ? { server: undefined, tool: undefined }
      : yield* split(target.value, all)
    const servers = all.filter(({ config, name }) => server === undefined ? !config.disabled : name === server)
    const pattern = Option.map(grep, (text) => text.toLowerCase())
    const matches = ({ description = "", name }: Tool) =>
      Option.isNone(pattern) || `${name} ${description}`.toLowerCase().includes(pattern.value)

    yield* output.progress(`connecting to ${servers.map(({ name }) => name).join(", ")} …`)
    const found = yield* Effect.forEach(servers, ({ name }) =>
      Effect.flatMap(Sessions, (sessions) =>
        sessions.use(name, (session) => session.listTools())).pipe(
          withTimeLimit({ server: name, limit: timeout }),
          Effect.result,
          Effect.map((result) => ({ name, result }))
        ), { concurrency: "unbounded" }).pipe(
        withSessions({ servers, limit: timeout, retry: yield* withRetryNotes(json) }),
        Effect.ensuring(output.progress(""))
      )

    const [only] = found
    if (server !== undefined && only !== undefined) {
      const offered = yield* Effect.fromResult(only.result)
      if (tool !== undefined) {
        const one = yield* findTool({ tools: offered, server, tool })
        return yield* json ? output.answerJson(one) : describe(one, true)
      }
      if (json) {
        return yield* output.answerJson(offered.filter(matches))
      }
    } else if (json) {
      const servers = found.map(({ name, result }) => ({
        name,
        ...(Result.isSuccess(result)
          ? { tools: result.success.filter(matches) }
          : { error: envelope(result.failure) })
      }))
      yield* output.answerJson({ schema: "mcp-sessions/1", servers })
    }
    for (const { name, result } of json ? [] : found) {
      if (Result.isFailure(result)) {
        continue
      }
      const shown = result.success.filter(matches)
      if (server === undefined) {
        yield* output.answer(output.style("underline", name))
      }
      if (schema) {
        yield* Effect.forEach(shown, (tool) =>
          describe(tool, true), { discard: true })
      } else {
        const cells = shown.map((tool) => [
          output.style("bold", output.peer(tool.name)),
          output.style("dim", output.peer(tool.description?.split("\n", 1)[0] ?? "").slice(0, 100))
        ])
        yield* Effect.forEach(columns(cells), output.answer, { discard: true })
      }
    }
    // Failures are printed after the tools. The first failure decides the exit status.
    const failures = found.flatMap(({ result }) =>
      Result.isFailure(result) ? [result.failure] : []
    )
    const [first, ...rest] = failures
    if (!json) {
      yield* Effect.forEach(
        rest.flatMap(lines),
        (line) => output.note(output.styleNote("red", output.peerNote(line))),
        {
          discard: true
        }
      )
    }
    if (first !== undefined) return yield* first
    const isEmpty = found.every(({ result }) => Result.isSuccess(result) && !result.success.some(matches))
    if (servers.length === 0) yield* noteNoServers(all)
    else if (!json && isEmpty) yield* output.note("no tools found")
  })).pipe(
    Command.withDescription("List the tools of servers"),
    Command.withExamples([
      {
        command: "mcp-sessions tools files --grep read",
        description: "List the tools of one server that match \"read\""
      },
      { command: "mcp-sessions tools files/read_text_file", description: "Show one tool with its schema" }
    ])
  )
