/**
 * A loaded configuration: its files, its servers, their problems and warnings.
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Result from "effect/Result"
import type { ConfigError } from "../../ConfigError.ts"
import type { ConfigWarning } from "../../ConfigWarning.ts"
import type { FileContent } from "../../Host.ts"
import type { ServerConfig, TransportKind } from "../../ServerConfig.ts"
import type { ClientName } from "./client.ts"
import type { Entry } from "./entry.ts"
import type { Position } from "./node.ts"

/**
 * Where a file applies: named by the caller, in the project, in the settings of the user for this project, or for all projects.
 *
 * @category models
 * @since 0.1.0
 */
export type Scope = "explicit" | "local" | "project" | "user"

/**
 * A configuration file that was read.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigurationFile {
  /** The absolute path. */
  readonly file: string
  /** The path for people: relative to the working directory, if it is below that. */
  readonly source: string
  /** The client whose format the file has. */
  readonly client: ClientName
  /** Where the file was found. */
  readonly scope: Scope
  /** Whether all its entries may be used. Files of the user and explicitly named files need no trust, nor do entries that start nothing. */
  readonly isTrusted: boolean
  /** How many servers it defines. */
  readonly servers: number
}

/**
 * A question for the value of `${input:id}`.
 *
 * @category models
 * @since 0.1.0
 */
export interface InputRequest {
  /** The name of the input. */
  readonly id: string
  /** The question, as the file puts it. */
  readonly description: string | undefined
  /** Whether the value must not be shown while it is typed. */
  readonly isPassword: boolean
  /** The value that an empty answer stands for. */
  readonly default: string | undefined
  /** The values to choose from. */
  readonly options: ReadonlyArray<string> | undefined
  /** The file that asks, for people. */
  readonly source: string
  /** The variable that can hold the value instead. */
  readonly variable: string
}

/**
 * Gives the values of inputs. `undefined`: this one has no value, and the variable of the request applies.
 *
 * @category models
 * @since 0.1.0
 */
export type AskInput = (request: InputRequest) => Effect.Effect<Redacted.Redacted<string> | undefined>

/**
 * A project file whose entries need trust, with its content.
 *
 * @category models
 * @since 0.1.0
 */
export interface UntrustedContent extends FileContent {
  /** The path for people. */
  readonly source: string
  /** The client whose format the file has. */
  readonly client: ClientName
}

/**
 * Decides whether a project file may start programs and get values of variables. The decision is for this load; `Host.trust` records it.
 *
 * @category models
 * @since 0.1.0
 */
export type AskTrust = (file: UntrustedContent) => Effect.Effect<boolean>

/**
 * A server of a configuration.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfiguredServer {
  /** The name to use: as written, or `client:name` or `file:name` where several files give one name to different servers. */
  readonly name: string
  /** The name as written. */
  readonly writtenName: string
  /** The client whose format the file has. */
  readonly client: ClientName
  /** The absolute path of the file. */
  readonly file: string
  /** The path of the file for people. */
  readonly source: string
  /** Where the file was found. */
  readonly scope: Scope
  /** The line and the column of the entry. */
  readonly position: Position
  /** The keys that lead to the entry in the file. */
  readonly path: ReadonlyArray<string>
  /** The entry as written, with the names of variables. It may hold secrets. */
  readonly written: unknown
  /** The command or URL as written: with the names of variables, not their values. */
  readonly target: string
  /** The transport. `undefined`: the entry does not say. */
  readonly transport: TransportKind | undefined
  /** Whether the entry turns the server off. */
  readonly isDisabled: boolean
  /** The definition with values of variables, or all its problems. */
  readonly definition: Result.Result<ServerConfig, ConfigError>
  /** Keys that work, and may not mean what they say. */
  readonly warnings: ReadonlyArray<ConfigWarning>
  /** Other names of the server: `client:name` and `file:name`. */
  readonly aliases: ReadonlyArray<string>
  /** @internal */
  readonly entry: Entry
}

/**
 * A problem of a configuration: of one server, or of a whole file.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigurationProblem {
  /** The server that cannot be used; `undefined` if the problem is one of the file. */
  readonly server: string | undefined
  /** The absolute path of the file. */
  readonly file: string | undefined
  /** All problems of the server or the file. */
  readonly error: ConfigError
}

/**
 * A loaded configuration.
 *
 * @category models
 * @since 0.1.0
 */
export interface Configuration {
  /** The servers that can be used by their `name`, in the order of the files. */
  readonly servers: ReadonlyArray<ConfiguredServer>
  /** Entries that a nearer file replaces, or that define a server of `servers` once more. Their aliases still find them. */
  readonly replaced: ReadonlyArray<ConfiguredServer>
  /** Names that mean different servers, with their candidates. */
  readonly ambiguous: ReadonlyMap<string, ReadonlyArray<string>>
  /** The files that were read. */
  readonly files: ReadonlyArray<ConfigurationFile>
  /** The absolute paths that were looked at, whether there is a file or not. A change of one of them can change the configuration. */
  readonly searched: ReadonlyArray<string>
  /** All problems: of files, of servers that are not disabled, and of names. */
  readonly problems: ReadonlyArray<ConfigurationProblem>
  /** Entries that work, and may not mean what they say. */
  readonly warnings: ReadonlyArray<ConfigWarning>
}
