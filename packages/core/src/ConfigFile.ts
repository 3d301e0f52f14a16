/**
 * Loads server definitions from configuration files: those of this library and those of other MCP clients.
 *
 * Without options, {@link load} reads the files of the project, from the working directory up to the root of its version control, and those of
 * the user: of Claude Code, Claude Desktop, Cursor, VS Code, Codex, OpenCode, Gemini CLI, Windsurf, Zed, Cline and Copilot CLI. Keys, units and
 * transports are those of each program.
 *
 * **Details**
 *
 * One bad entry fails alone: every server has a definition or its problems, each with file, line, column and JSON path. Texts may hold
 * `${NAME}`, `${NAME:-default}`, `${env:NAME}`, `{env:NAME}`, `${input:id}`, `${workspaceFolder}` and `${userHome}`; `$${NAME}` is the text
 * `${NAME}`. Values are put in once and never parsed again.
 *
 * A project file may come from other people. Entries that start programs, or send values of variables to a server, need the user's trust in
 * this content of the file. Files of the user and files that the caller names need none.
 *
 * **Gotchas**
 *
 * A name that different programs give to different servers is ambiguous: use `client:name` or `file:name`.
 *
 * **Example** (Listing the servers of a file)
 *
 * ```ts import.meta.vitest
 * import { ConfigFile } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Result } from "effect"
 * import { mkdtempSync, writeFileSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const file = join(mkdtempSync(join(tmpdir(), "config-")), ".mcp.json")
 * writeFileSync(file, `{ "mcpServers": {
 *   "far": { "url": "https://example.com/mcp" },
 *   "bad": { "command": "server", "env": { "TOKEN": "\${NO_SUCH_VARIABLE}" } },
 * } }`)
 *
 * const program = ConfigFile.load({ files: [file] }).pipe(Effect.provide(Transports.layer))
 * const { problems, servers } = await Effect.runPromise(program)
 * servers.map(({ definition, name }) => [name, Result.isSuccess(definition)]) // => [["far", true], ["bad", false]]
 * problems.map(({ error }) => error.problems[0].position) // => [{ line: 3, column: 42 }]
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ConfigError, type ConfigProblem, UnknownServer } from "./ConfigError.ts"
import type { Host } from "./Host.ts"
import { clients } from "./internal/configFile/clients.ts"
import { hidden } from "./internal/configFile/hidden.ts"
import {
  ambiguousError,
  load as loadFiles,
  type LoadOptions,
  resolutionOf,
  serverOf
} from "./internal/configFile/load.ts"
import type { Configuration, ConfiguredServer } from "./internal/configFile/model.ts"
import { resolveEntry } from "./internal/configFile/resolve.ts"
import { guardTelemetry } from "./internal/telemetry/guard.ts"

export type { ClientName } from "./internal/configFile/client.ts"
export type { LoadOptions } from "./internal/configFile/load.ts"
export type {
  AskInput,
  AskTrust,
  Configuration,
  ConfigurationFile,
  ConfigurationProblem,
  ConfiguredServer,
  InputRequest,
  Scope,
  UntrustedContent
} from "./internal/configFile/model.ts"

/**
 * Names of this library's own files in a project, in the order of preference.
 *
 * @category constants
 * @since 0.1.0
 */
export const fileNames: ReadonlyArray<string> = clients["mcp-sessions"].projectFiles

/**
 * Loads the configuration. Fails only where a file that the caller names cannot be read or parsed; all other problems are in the result.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = (options?: LoadOptions): Effect.Effect<Configuration, ConfigError, Host> =>
  guardTelemetry(Effect.withSpan(loadFiles(options ?? {}), "ConfigFile.load"))

/**
 * Finds a server by its name, by `client:name` or by `file:name`. Fails with `AmbiguousServer` for a name that means different servers, and with
 * `UnknownServer` and the problems of unreadable files for any other name.
 *
 * @category getters
 * @since 0.1.0
 */
export const find = <Server extends Pick<ConfiguredServer, "aliases" | "name">>({ configuration, target }: {
  readonly configuration: Pick<Configuration, "ambiguous" | "problems"> & {
    readonly servers: ReadonlyArray<Server>
    readonly replaced: ReadonlyArray<Server>
  }
  readonly target: string
}): Result.Result<Server, ConfigError> => {
  const { ambiguous, problems, replaced, servers } = configuration
  const found = servers.find(({ name }) => name === target) ??
    [...servers, ...replaced].find(({ aliases }) => aliases.includes(target))
  if (found !== undefined) return Result.succeed(found)
  const candidates = ambiguous.get(target)
  if (candidates !== undefined) return Result.fail(ambiguousError(target, candidates))
  const validNames = servers.map(({ name }) => name)
  const ofFiles: ReadonlyArray<ConfigProblem> = problems.flatMap(({ error, server }) =>
    server === undefined ? error.problems : []
  )
  const unknown = new UnknownServer({ server: target, path: [], validNames })
  return Result.fail(new ConfigError({ problems: [unknown, ...ofFiles] }))
}

/**
 * Gives an entry as it is written, without what may be secret: variables, headers, keys, credentials and queries of URLs, and values of
 * arguments such as `--api-key`. References to variables stay.
 *
 * @category getters
 * @since 0.1.0
 */
export const withoutSecrets = ({ written }: Pick<ConfiguredServer, "written">): unknown => hidden(written)

/**
 * Resolves servers of a configuration once more, with other answers to their questions: their inputs, each asked once, and the trust in their
 * files. Programs that ask a user load without `input` and `trust`, and ask only for the servers that are used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resolve = ({ servers, ...options }: Pick<LoadOptions, "input" | "trust"> & {
  readonly servers: ReadonlyArray<ConfiguredServer>
}): Effect.Effect<ReadonlyArray<ConfiguredServer>, never, Host> =>
  Effect.suspend(() => {
    const resolution = resolutionOf(options)
    return Effect.forEach(servers, ({ entry, name }) =>
      Effect.map(resolveEntry(entry, resolution), (definition) =>
        serverOf({ entry, definition }, name)))
  })
