/**
 * The names of servers: those that are listed, other names of them, and names that cannot be used.
 */
import { ConfigError, UnknownServer } from "../../ConfigError.ts"
import type { ServerDefinition } from "../../ServerConfig.ts"

/** Names beside those of the definitions. */
export interface NameOptions {
  /** The names to list, in the order of the configuration. Default: those of the definitions. */
  readonly listed?: ReadonlyArray<string> | undefined
  /** Names of definitions by their other names. */
  readonly aliases?: ReadonlyMap<string, string> | undefined
  /** The errors of names without a usable definition. */
  readonly broken?: ReadonlyMap<string, ConfigError> | undefined
}

export class ServerNames {
  /** The names that are listed, in the order of the configuration. */
  readonly listed: ReadonlyArray<string>
  /** The errors of listed names without a usable definition. */
  readonly broken: ReadonlyMap<string, ConfigError>
  readonly #aliases: ReadonlyMap<string, string>

  constructor(definitions: ReadonlyArray<ServerDefinition>, options: NameOptions) {
    this.listed = options.listed ?? definitions.map(({ name }) => name)
    this.broken = options.broken ?? new Map<string, never>()
    this.#aliases = options.aliases ?? new Map<string, never>()
  }

  /** The name of the definition that a name stands for. */
  canonical(name: string): string {
    return this.#aliases.size === 0 ? name : this.#aliases.get(name) ?? name
  }

  /** The error of a name without a usable definition. */
  errorOf(name: string): ConfigError {
    return this.broken.get(this.canonical(name)) ??
      new ConfigError({ problems: [new UnknownServer({ server: String(name), path: [], validNames: this.listed })] })
  }
}
