/**
 * `tools`: lists the tools of servers.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { Tool } from "@mcp-sessions/core/Mcp"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import { Sessions } from "@mcp-sessions/core/Sessions"
import { closest } from "@mcp-sessions/core/Suggestion"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { ConfiguredServer } from "../Configured.ts"
import { ServersFailed, ToolFailed } from "../Failure.ts"
import { envelope } from "../FailureText.ts"
import { isJsonObject, quote, summaryOf, textOf } from "../internal/text.ts"
import { Output } from "../Output.ts"
import { content, cut, line, name } from "../Shown.ts"
import { columns } from "../Table.ts"
import * as ToolNames from "../ToolNames.ts"
import { root, timeout } from "./root.ts"
import { listCommand, noteNoServers, selectTools } from "./selection.ts"
import { withRetryNotes, withSessions, withTimeLimit } from "./sessions.ts"

/** Returns the name of a tool. What is not a name is quoted. */
const nameOf = (tool: unknown): string => {
  const name = isJsonObject(tool) ? tool.name : tool
  return textOf(name) ?? quote(name)
}

/** Finds a tool by name. Fails with a suggestion if there is none. */
export const findTool = (options: {
  readonly tools: ReadonlyArray<Tool>
  readonly server: ConfiguredServer
  readonly tool: string
}): Effect.Effect<Tool, ToolFailed> => {
  const { server, tool, tools } = options
  const found = tools.find((found) => isJsonObject(found) && found.name === tool)
  if (found !== undefined) return Effect.succeed(found)
  const suggestion = closest(tool, tools.map(nameOf))
  return Effect.fail(
    new ToolFailed({
      server: server.name,
      tool,
      kind: "ToolNotFound",
      description: `the server has no tool "${tool}"${
        suggestion === undefined ? "" : `; did you mean "${suggestion}"?`
      }`,
      hint: listCommand("tools", server)
    })
  )
}

/** The tools of one server, or the failure to list them. */
interface Listing {
  readonly name: string
  readonly result: Result.Result<ReadonlyArray<Tool>, SessionError | ConfigError>
}

/** Lists the tools of all servers concurrently. A failure is part of the listing. */
const listTools = Effect.fnUntraced(function*(options: {
  readonly servers: ReadonlyArray<ConfiguredServer>
  readonly limit: Duration.Duration
  readonly json: boolean
}) {
  const { json, limit, servers } = options
  const { progress } = yield* Output
  yield* progress(line`connecting to ${servers.map(({ name }) => name).join(", ")} …`)
  return yield* Effect.forEach(
    servers,
    (server) => {
      const { name } = server
      return Effect.flatMap(Sessions, (sessions) => sessions.use(name, (session) => session.listTools())).pipe(
        withTimeLimit({ server: name, limit }),
        Effect.tap((tools) => ToolNames.remember(server, tools)),
        Effect.result,
        Effect.map((result): Listing => ({ name, result }))
      )
    },
    { concurrency: "unbounded" }
  ).pipe(
    withSessions({ servers, limit, retry: yield* withRetryNotes(json) }),
    Effect.ensuring(progress(undefined))
  )
})

/** Prints the name, the description and the input schema of a tool. Servers leave out the schema of tools without parameters. */
const printSchema = Effect.fnUntraced(function*(tool: Tool) {
  const output = yield* Output
  const description = textOf(tool.description)
  yield* output.print(output.style("bold", nameOf(tool)))
  if (description !== undefined) yield* output.print(content(description))
  yield* isJsonObject(tool.inputSchema) ? output.printJson(tool.inputSchema) : output.print(line`[no input schema]`)
})

/** How much of a description is shown in a table, in characters. */
const descriptionLimit = 100

/** Prints tools as a table, or each with its schema. */
const printTools = Effect.fnUntraced(function*(tools: ReadonlyArray<Tool>, schema: boolean) {
  const output = yield* Output
  if (schema) return yield* Effect.forEach(tools, printSchema, { discard: true })
  const cells = tools.map((tool) => [
    output.style("bold", nameOf(tool)),
    output.style("dim", cut(name(summaryOf(textOf(tool.description) ?? "")), descriptionLimit))
  ])
  yield* Effect.forEach(columns(cells), output.print, { discard: true })
})

/** Prints the tools of several servers. Fails with all failures, of which the first one decides the exit status. */
const printListings = Effect.fnUntraced(function*(options: {
  readonly listings: ReadonlyArray<Listing>
  readonly json: boolean
  readonly schema: boolean
}) {
  const { json, listings, schema } = options
  const output = yield* Output
  if (json) {
    const servers = listings.map(({ name, result }) =>
      Result.isSuccess(result) ? { name, tools: result.success } : { name, error: envelope(result.failure) }
    )
    yield* output.printJson({ schema: "mcp-sessions/1", servers })
  } else {
    for (const { name, result } of listings) {
      if (Result.isFailure(result)) continue
      yield* output.print(output.style("underline", name))
      yield* printTools(result.success, schema)
    }
  }
  const [first, ...others] = listings.flatMap(({ result }) => Result.isFailure(result) ? [result.failure] : [])
  if (first !== undefined) return yield* others.length === 0 ? first : new ServersFailed({ errors: [first, ...others] })
})

export const tools = Command.make("tools", {
  words: Argument.String("server[/tool]").pipe(
    Argument.withDescription(
      "Server, or one of its tools (default: all enabled servers). In place of a configured server, a URL before the tool, or a command after --"
    ),
    Argument.variadic()
  ),
  grep: Flag.String("grep").pipe(
    Flag.withMetavar("text"),
    Flag.withDescription("Show only tools whose name or description contains this text"),
    Flag.optional
  ),
  schema: Flag.Boolean("schema").pipe(
    Flag.withDescription("Show the input schema of each tool"),
    Flag.withDefault(false)
  ),
  timeout: timeout("Time limit for each server")
}, ({ grep, schema, timeout, words }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { all, server, servers, tool } = yield* selectTools(words)
    const listings = yield* listTools({ servers, limit: timeout, json })

    const [only] = listings
    if (server !== undefined && tool !== undefined && only !== undefined) {
      const found = yield* findTool({ tools: yield* Effect.fromResult(only.result), server, tool })
      return yield* json ? output.printJson(found) : printSchema(found)
    }
    const pattern = Option.getOrElse(grep, () => "").toLowerCase()
    const matches = (tool: Tool) => `${nameOf(tool)} ${textOf(tool.description) ?? ""}`.toLowerCase().includes(pattern)
    const matching = listings.map(({ name, result }) => ({
      name,
      result: Result.map(result, (tools) => tools.filter(matches))
    }))
    if (server !== undefined && only !== undefined) {
      const shown = (yield* Effect.fromResult(only.result)).filter(matches)
      yield* json ? output.printJson(shown) : printTools(shown, schema)
    } else yield* printListings({ listings: matching, json, schema })
    const isEmpty = matching.every(({ result }) => Result.isSuccess(result) && result.success.length === 0)
    if (servers.length === 0) yield* noteNoServers(all)
    else if (!json && isEmpty) yield* output.note(line`no tools found`)
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
