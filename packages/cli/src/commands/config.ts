/**
 * `config`: checks, explains and trusts configuration files. Nothing here connects to a server.
 */
import { ConfigError, type ConfigProblem, jsonPath } from "@mcp-sessions/core/ConfigError"
import * as ConfigFile from "@mcp-sessions/core/ConfigFile"
import type { Configuration, ConfiguredServer, LoadOptions, UntrustedContent } from "@mcp-sessions/core/ConfigFile"
import type { ConfigWarning } from "@mcp-sessions/core/ConfigWarning"
import { Host } from "@mcp-sessions/core/Host"
import * as ExactNumbers from "@mcp-sessions/transports/ExactNumbers"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { UsageError } from "../Failure.ts"
import { problemToJson } from "../FailureText.ts"
import { isJsonObject } from "../internal/text.ts"
import { needsTrust } from "../internal/untrusted.ts"
import { Output } from "../Output.ts"
import * as Shown from "../Shown.ts"
import { line, name } from "../Shown.ts"
import { columns } from "../Table.ts"
import { root } from "./root.ts"

const files = Argument.String("file").pipe(
  Argument.withDescription("Configuration files (default: those of the project and of the user)"),
  Argument.variadic()
)

/** Loads the files that the words name, else that of the flag, else those of the project and of the user. */
const load = Effect.fnUntraced(function*(options: LoadOptions) {
  const { config } = yield* root
  const files = [options.files ?? [], config].find((files) => files.length > 0)
  return yield* ConfigFile.load({ ...options, files })
})

/** Finds a server by any of its names. */
const findServer = (configuration: Configuration, target: string): Effect.Effect<ConfiguredServer, ConfigError> =>
  Effect.fromResult(ConfigFile.find({ configuration, target }))

const placeOf = ({ path, position, source }: ConfigProblem | ConfigWarning): string => {
  const at = position === undefined ? "" : `:${position.line}:${position.column}`
  return `${source ?? "-"}${at}${path.length === 0 ? "" : ` ${jsonPath(path)}`}`
}

/** Loads a configuration as if all its files were trusted, and lists those that are not. */
const loadAnyway = Effect.fnUntraced(function*(files: ReadonlyArray<string>) {
  const { trust } = yield* root
  const untrusted: Array<string> = []
  const configuration = yield* load({
    files,
    trust: trust ? "all" : ({ source }) => Effect.sync(() => untrusted.push(source) > 0)
  })
  return { ...configuration, untrusted }
})

/** Says that servers of files cannot be used yet. */
const noteUntrusted = (sources: ReadonlyArray<string>) =>
  Effect.flatMap(Output, ({ note, styleNote }) =>
    Effect.forEach(sources, (source) =>
      note(styleNote(
        "yellow",
        `${source} is not trusted: its servers that start programs or use variables cannot be used; read the file, then run: mcp-sessions config trust`
      )), { discard: true }))

// -----------------------------------------------------------------------------
// check
// -----------------------------------------------------------------------------

const check = Command.make("check", { files }, ({ files }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { problems, servers, untrusted, warnings } = yield* loadAnyway(files)
    const all = problems.flatMap(({ error }): ReadonlyArray<ConfigProblem> => error.problems)
    if (json) {
      yield* output.printJson({
        schema: "mcp-sessions/1",
        servers: servers.length,
        warnings: warnings.map(problemToJson),
        untrusted
      })
    } else {
      for (const warning of warnings) {
        const server = warning.server === undefined ? "" : `${warning.server}: `
        yield* output.print(
          line`${placeOf(warning)}: ${output.style("yellow", "warning")}: ${server}${warning.description}`
        )
      }
    }
    if (!json) yield* noteUntrusted(untrusted)
    const [first, ...rest] = all
    if (first !== undefined) return yield* new ConfigError({ problems: [first, ...rest] })
    if (!json) {
      yield* output.print(line`${String(servers.length)} ${servers.length === 1 ? "server" : "servers"}, no problems`)
    }
  })).pipe(
    Command.withDescription("Check configuration files, and print all problems and warnings"),
    Command.withExamples([
      { command: "mcp-sessions config check", description: "Check the files of the project and of the user" },
      { command: "mcp-sessions config check .vscode/mcp.json --json", description: "Check one file and print JSON" }
    ])
  )

// -----------------------------------------------------------------------------
// sources
// -----------------------------------------------------------------------------

const sources = Command.make("sources", {}, () =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const { files, problems } = yield* load({})
    const unread = problems.filter(({ file }) => !files.some((read) => read.file === file) && file !== undefined)
    if (json) {
      return yield* output.printJson({
        schema: "mcp-sessions/1",
        files,
        unread: unread.map(({ error, file }) => ({ file, message: error.message }))
      })
    }
    const cells = files.map(({ client, isTrusted, scope, servers, source }) => [
      output.style("bold", source),
      name(client),
      name(scope),
      name(`${servers} ${servers === 1 ? "server" : "servers"}`),
      isTrusted ? name("") : output.style("yellow", "not trusted")
    ])
    yield* Effect.forEach(columns(cells), output.print, { discard: true })
    yield* Effect.forEach(unread, ({ error }) => output.note(output.styleNote("red", error.message)), { discard: true })
    if (files.length === 0) yield* output.note(line`no configuration files`)
  })).pipe(Command.withDescription("List the configuration files that are read, nearest first"))

// -----------------------------------------------------------------------------
// show
// -----------------------------------------------------------------------------

/** A definition as JSON: durations as text, secrets revealed or not. */
const resolved = (value: unknown, reveal: boolean): unknown =>
  Redacted.isRedacted(value)
    ? reveal ? Redacted.value(value) : "<redacted>"
    : Duration.isDuration(value)
    ? Duration.format(value)
    : Array.isArray(value)
    ? value.map((item) => resolved(item, reveal))
    : isJsonObject(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item, reveal)]))
    : value

const show = Command.make("show", {
  server: Argument.String("server").pipe(Argument.withDescription("Name of a configured server")),
  resolved: Flag.Boolean("resolved").pipe(
    Flag.withDescription("Show the definition with defaults and values of variables"),
    Flag.withDefault(false)
  ),
  reveal: Flag.Boolean("reveal").pipe(Flag.withDescription("Show secrets"), Flag.withDefault(false))
}, ({ resolved: isResolved, reveal, server: target }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const configuration = yield* loadAnyway([])
    const server = yield* findServer(configuration, target)
    // Of a file that is not trusted, servers that do nothing with the user's values can be used all the same.
    const found = configuration.untrusted.length === 0 ? server : yield* findServer(yield* load({}), target)
    const isTrusted = Result.isSuccess(found.definition) || !needsTrust(found.definition.failure)
    const { client, definition, path, position, scope, source, warnings } = server
    const written = server.written
    const shown = isResolved
      ? resolved(yield* Effect.fromResult(definition), reveal)
      : reveal
      ? written
      : ConfigFile.withoutSecrets(server)
    if (json) {
      return yield* output.printJson({
        schema: "mcp-sessions/1",
        name: server.name,
        client,
        scope,
        source,
        line: position.line,
        column: position.column,
        path: jsonPath(path),
        trusted: isTrusted,
        definition: shown,
        problems: Result.isFailure(definition) ? definition.failure.problems.map(problemToJson) : [],
        warnings: warnings.map(problemToJson)
      })
    }
    yield* output.print(
      line`${output.style("bold", server.name)}  ${source}:${String(position.line)} ${jsonPath(path)}  ${client}`
    )
    yield* output.print(Shown.json(ExactNumbers.stringify(shown, 2)))
    if (!isTrusted) yield* noteUntrusted([source])
    if (Result.isFailure(definition)) return yield* definition.failure
  })).pipe(Command.withDescription("Show one definition and where it comes from; secrets are hidden"))

// -----------------------------------------------------------------------------
// trust
// -----------------------------------------------------------------------------

const trust = Command.make("trust", {}, () =>
  Effect.gen(function*() {
    const output = yield* Output
    const { json } = yield* root
    const host = yield* Host
    const files: Array<UntrustedContent> = []
    const { replaced, servers } = yield* load({
      trust: (file) => Effect.sync(() => files.push(file) === 0)
    })
    const allowed = [...servers, ...replaced].filter(({ definition }) =>
      Result.isFailure(definition) && needsTrust(definition.failure)
    )
    for (const file of files) {
      yield* Effect.mapError(host.trust(file), ({ message }) => new UsageError({ problems: [message] }))
      if (json) continue
      yield* output.print(line`trusted ${file.source}; these servers can now start programs or use variables:`)
      const cells = allowed.filter((server) => server.file === file.file).map(({ target, writtenName }) => [
        output.style("bold", line`  ${writtenName}`),
        name(target)
      ])
      yield* Effect.forEach(columns(cells), output.print, { discard: true })
    }
    const trusted = files.map(({ source }) => source)
    if (json) {
      const allows = allowed.map(({ name, source, target }) => ({ name, source, target }))
      return yield* output.printJson({ schema: "mcp-sessions/1", trusted, allows })
    }
    if (trusted.length === 0) yield* output.note(line`no project file needs trust`)
  })).pipe(Command.withDescription("Trust the current content of the project's files"))

export const config = Command.make("config").pipe(
  Command.withDescription("Check, explain and trust configuration files, without connecting"),
  Command.withSubcommands([check, sources, show, trust])
)
