/**
 * Port to the machine: the files, the environment and the trust decisions that configuration needs.
 *
 * Core reads configuration files only through this service. `NodeHost` of `@mcp-sessions/transports` implements it, and `Transports.layer`
 * provides that implementation; tests provide files in memory.
 *
 * **Example** (Loading a configuration from memory)
 *
 * ```ts import.meta.vitest
 * import { ConfigFile, Host } from "@mcp-sessions/core"
 * import { Effect } from "effect"
 *
 * const files = new Map([["/work/.mcp.json", `{ "mcpServers": { "far": { "url": "https://example.com/mcp" } } }`]])
 * const host = Host.Host.of({
 *   environment: {},
 *   workingDirectory: "/work",
 *   homeDirectory: "/home/me",
 *   platform: "linux",
 *   readFile: (path) =>
 *     files.has(path)
 *       ? Effect.succeed(files.get(path))
 *       : Effect.fail(new Host.FileRefused({ path, reason: "Missing" })),
 *   exists: (path) => Effect.succeed(files.has(path)),
 *   resolve: (base, path) => path.startsWith("/") ? path : `${base}/${path}`,
 *   parent: (path) => path.slice(0, path.lastIndexOf("/")) || "/",
 *   parseEnv: () => ({}),
 *   isTrusted: () => Effect.succeed(false),
 *   trust: () => Effect.void
 * })
 *
 * const program = Effect.provideService(ConfigFile.load(), Host.Host, host)
 * const { servers } = await Effect.runPromise(program)
 * servers.map(({ name, source }) => [name, source]) // => [["far", ".mcp.json"]]
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A file that cannot be read as text.
 *
 * | reason       | meaning                                                       |
 * | ------------ | ------------------------------------------------------------- |
 * | `Missing`    | there is no such file                                         |
 * | `Denied`     | the user may not read it                                      |
 * | `Irregular`  | it is a pipe, a device or a directory                         |
 * | `TooLarge`   | it is larger than the caller allows                           |
 * | `NotText`    | it is not text in UTF-8                                       |
 * | `Unreadable` | the system fails to read it, with the code of its error       |
 *
 * @category errors
 * @since 0.1.0
 */
export class FileRefused extends Schema.TaggedError<FileRefused>("@mcp-sessions/core/FileRefused")("FileRefused", {
  path: Schema.String,
  reason: Schema.Literals(["Missing", "Denied", "Irregular", "TooLarge", "NotText", "Unreadable"]),
  /** The largest size that was allowed, in bytes. */
  limit: Schema.optional(Schema.Int),
  /** The code of the system's error. */
  code: Schema.optional(Schema.String)
}) {
  override get message(): string {
    const { code = "unknown error", limit = 0, path, reason } = this
    switch (reason) {
      case "Missing":
        return `no such file: ${path}`
      case "Denied":
        return `no permission to read the file: ${path}`
      case "Irregular":
        return `expected a regular file, not a pipe, a device or a directory: ${path}`
      case "TooLarge":
        return `expected at most ${limit / 1024 ** 2} MiB: ${path}`
      case "NotText":
        return `expected text in UTF-8, not in another encoding such as UTF-16: ${path}`
      case "Unreadable":
        return `the file cannot be read (${code}): ${path}`
    }
  }
}

/**
 * The record of trusted files cannot be read or written.
 *
 * @category errors
 * @since 0.1.0
 */
export class TrustFailed extends Schema.TaggedError<TrustFailed>("@mcp-sessions/core/TrustFailed")("TrustFailed", {
  description: Schema.String
}) {
  override get message(): string {
    return `the record of trusted files cannot be used: ${this.description}`
  }
}

/**
 * A file with its content, as a trust decision covers it: another file, or another content, needs a decision of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileContent {
  /** The absolute path. */
  readonly file: string
  /** The content, decoded as UTF-8. */
  readonly text: string
}

/**
 * Service that gives the files, the environment and the trust decisions of the machine. All paths that it returns are absolute.
 *
 * @category services
 * @since 0.1.0
 */
export class Host extends Context.Service<Host, {
  /** The variables of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The working directory of the process. */
  readonly workingDirectory: string
  /** The home directory of the user. `undefined`: the user has none. */
  readonly homeDirectory: string | undefined
  /** The operating system, as Node names it: `darwin`, `win32`, or any other. */
  readonly platform: string
  /** Reads a regular file of at most so many bytes as UTF-8. Never waits for another process. */
  readonly readFile: (path: string, byteLimit: number) => Effect.Effect<string, FileRefused>
  /** Whether a file or a directory exists. What cannot be looked at does not exist. */
  readonly exists: (path: string) => Effect.Effect<boolean>
  /** Resolves a path against a directory. An absolute path stays as it is. */
  readonly resolve: (base: string, path: string) => string
  /** Returns the directory of a path. The root of a file system is its own parent. */
  readonly parent: (path: string) => string
  /** Parses the text of an env file, `NAME=value` on each line. */
  readonly parseEnv: (text: string) => Readonly<Record<string, string>>
  /** Whether the user trusts a file with this content. */
  readonly isTrusted: (content: FileContent) => Effect.Effect<boolean, TrustFailed>
  /** Records that the user trusts a file with this content. */
  readonly trust: (content: FileContent) => Effect.Effect<void, TrustFailed>
}>()("@mcp-sessions/core/Host") {}
