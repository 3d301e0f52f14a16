/**
 * Servers that the command line itself describes, in place of the name of a configured one: a URL, or a command after `--`.
 *
 * @since 0.1.0
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import * as ServerConfig from "@mcp-sessions/core/ServerConfig"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type ConfiguredServer, fromDefinition } from "./Configured.ts"
import { UsageError } from "./Failure.ts"

/**
 * Reference to the words after `--`, which start a server. Default: none.
 *
 * @category references
 * @since 0.1.0
 */
export const ServerCommand: Context.Reference<ReadonlyArray<string>> = Context.Reference<ReadonlyArray<string>>(
  "@mcp-sessions/cli/AdHoc/ServerCommand",
  { defaultValue: () => [] }
)

/**
 * The source of these servers, where others have a file.
 *
 * @category constants
 * @since 0.1.0
 */
export const source = "the command line"

/**
 * Whether a word is the URL of a server.
 *
 * @category guards
 * @since 0.1.0
 */
export const isUrl = (word: string): boolean => /^(?:https?|wss?):\/\//i.test(word)

/** The problems of a definition as problems of the words that it comes from. */
const toUsageError = ({ problems: [first, ...rest] }: ConfigError): UsageError =>
  new UsageError({ problems: [first.description, ...rest.map(({ description }) => description)] })

const define = (options: {
  readonly name: string
  readonly written: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>> | undefined
}): Effect.Effect<ConfiguredServer, UsageError> => {
  const { headers, name, written } = options
  const raw = headers === undefined ? written : { ...written, headers }
  return ServerConfig.decodeServers({ servers: { [name]: raw }, source, path: [] }).pipe(
    Effect.mapError(toUsageError),
    Effect.flatMap(([definition]) =>
      definition === undefined
        ? Effect.die(new Error("one definition decodes to one server"))
        : Effect.succeed(fromDefinition({ ...definition, source }))
    )
  )
}

/** A part of a path that may be a key. */
const keyLike = /^(?=.*\d)(?=.*[a-z]).{16,}$/i

/** Names a server after its URL without the query, or after its host if the path may hold a key. */
const nameOf = ({ host, origin, pathname }: URL): string =>
  pathname.split("/").some((part) => keyLike.test(part)) ? host : origin + pathname

/**
 * Describes the server at a URL.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofUrl = (options: {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}): Effect.Effect<ConfiguredServer, UsageError> => {
  const { headers, url } = options
  if (!URL.canParse(url)) return Effect.fail(new UsageError({ problems: ["the URL of the server is not valid"] }))
  const parsed = new URL(url)
  if (parsed.username !== "") {
    const problem = "the URL of the server holds credentials; give them with --header 'Authorization: $VARIABLE'"
    return Effect.fail(new UsageError({ problems: [problem] }))
  }
  return define({ name: nameOf(parsed), written: { url }, ...(Object.keys(headers).length === 0 ? {} : { headers }) })
}

/**
 * Describes the server that a command starts. Its name is the last part of the program's path.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofCommand = (
  [command = "", ...args]: ReadonlyArray<string>
): Effect.Effect<ConfiguredServer, UsageError> =>
  define({ name: command.split(/[\\/]/).at(-1) || command, written: { command, args } })

/**
 * Describes a server of a recording, which is never started or reached.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofRecording = (name: string): Effect.Effect<ConfiguredServer, UsageError> =>
  define({ name, written: { command: "recorded" } })
