/**
 * `servers`: lists the configured servers and their sources, without connecting.
 */
import { ConfigError, type ConfigProblem } from "@mcp-sessions/core/ConfigError"
import type { ConfiguredServer } from "@mcp-sessions/core/ConfigFile"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { fromConfiguration } from "../Configured.ts"
import { lines, problemToJson } from "../FailureText.ts"
import { needsTrust } from "../internal/untrusted.ts"
import { Output } from "../Output.ts"
import { line, name } from "../Shown.ts"
import { columns } from "../Table.ts"
import { root } from "./root.ts"
import { loadConfiguration, noteNoServers } from "./selection.ts"

/** The problems to show: trust is a matter of its own. */
const problemsIn = ({ definition, isDisabled }: ConfiguredServer): ReadonlyArray<ConfigProblem> =>
  isDisabled || Result.isSuccess(definition)
    ? []
    : definition.failure.problems.filter(({ _tag }) => _tag !== "UntrustedFile")

const isUntrusted = ({ definition }: ConfiguredServer): boolean =>
  Result.isFailure(definition) && needsTrust(definition.failure)

const rowOf = (server: ConfiguredServer) => {
  const { client, isDisabled, position, source, target, transport } = server
  const problems = problemsIn(server).map(problemToJson)
  return {
    name: server.name,
    transport: transport ?? null,
    target,
    source,
    line: position.line,
    client,
    disabled: isDisabled,
    ...(isUntrusted(server) ? { trusted: false } : {}),
    ...(problems.length === 0 ? {} : { problems })
  }
}

const cellsOf = (output: Output["Service"], server: ConfiguredServer) => {
  const { isDisabled, position, source, target, transport } = server
  const marks = [...(isDisabled ? ["disabled"] : []), ...(isUntrusted(server) ? ["not trusted"] : [])]
  const place = `${source}:${position.line}${marks.length === 0 ? "" : ` (${marks.join(", ")})`}`
  return [
    output.style(isDisabled ? "dim" : "bold", server.name),
    name(transport ?? "unknown"),
    name(target),
    output.style("dim", place)
  ]
}

/** Prints the servers, each with its problems below it. */
const printServers = Effect.fnUntraced(function*(servers: ReadonlyArray<ConfiguredServer>) {
  const output = yield* Output
  const rows = columns(servers.map((server) => cellsOf(output, server)))
  for (const [index, row] of rows.entries()) {
    yield* output.print(row)
    const [first, ...rest] = servers.slice(index, index + 1).flatMap(problemsIn)
    if (first === undefined) continue
    const text = lines(new ConfigError({ problems: [first, ...rest] }))
    yield* Effect.forEach(text, (text) => output.print(line`    ${output.style("red", text)}`), { discard: true })
  }
  if (servers.some(isUntrusted)) {
    yield* output.note(
      line`servers of files that are not trusted cannot be used; read the files, then run: mcp-sessions config trust`
    )
  }
})

/** Notes problems that no row shows. A name that means several servers keeps none of them from being used. */
const noteProblems = (error: ConfigError) =>
  Effect.flatMap(Output, ({ note, styleNote }) =>
    error.problems.every(({ _tag }) => _tag === "AmbiguousServer")
      ? Effect.forEach(error.problems, ({ description }) => note(styleNote("yellow", line`warning: ${description}`)), {
        discard: true
      })
      : Effect.forEach(lines(error), (text) => note(styleNote("red", text)), { discard: true }))

export const servers = Command.make("servers", {}, () =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const configuration = yield* loadConfiguration
    const { problems, servers } = configuration
    const names = new Set(servers.map(({ name }) => name))
    const others = problems.filter(({ server }) => server === undefined || !names.has(server))
    if (json) {
      const rest = others.flatMap(({ error }) => error.problems.map(problemToJson))
      yield* output.printJson({
        schema: "mcp-sessions/1",
        servers: servers.map(rowOf),
        ...(rest.length === 0 ? {} : { problems: rest })
      })
    } else {
      yield* printServers(servers)
      yield* Effect.forEach(others, ({ error }) => noteProblems(error), { discard: true })
    }
    if (!json && servers.length === 0 && others.length === 0) yield* noteNoServers(fromConfiguration(configuration))
  })).pipe(Command.withDescription("List the configured servers and their source files, without connecting"))
