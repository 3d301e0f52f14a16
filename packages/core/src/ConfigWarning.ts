/**
 * Warnings about configuration files: keys without effect here, and values that are probably wrong.
 *
 * A warning never keeps a server from being used. Like a problem of `ConfigError`, it names its file, its position there, its server and the
 * JSON path, and quotes names, never values.
 *
 * **Example** (Wording a warning)
 *
 * ```ts import.meta.vitest
 * import { ConfigWarning } from "@mcp-sessions/core"
 *
 * const warning = new ConfigWarning.IgnoredKey({ path: ["mcpServers", "files", "disabledTools"], key: "disabledTools" })
 * warning.description // => "the key \"disabledTools\" has no effect here"
 * ```
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { adviceFor, at, type Described, names, where } from "./internal/config/place.ts"

/**
 * A key of another program that changes its behaviour there and has no effect here.
 *
 * @category warnings
 * @since 0.1.0
 */
export class IgnoredKey extends Schema.TaggedClass<IgnoredKey>("@mcp-sessions/core/IgnoredKey")(
  "IgnoredKey",
  { ...where, key: Schema.String, advice: Schema.optional(Schema.String) }
) implements Described {
  get description(): string {
    const { advice, key } = this
    return `the key ${JSON.stringify(key)} has no effect here${advice === undefined ? "" : `; ${advice}`}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A key that neither the program of the file nor this library has.
 *
 * @category warnings
 * @since 0.1.0
 */
export class UnfamiliarKey extends Schema.TaggedClass<UnfamiliarKey>("@mcp-sessions/core/UnfamiliarKey")(
  "UnfamiliarKey",
  { ...where, key: Schema.String, validNames: names }
) implements Described {
  get description(): string {
    const { key, validNames } = this
    return `the key ${JSON.stringify(key)} is unknown and ignored; ${adviceFor(key, validNames, "the known keys are")}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A timeout that is probably written in another unit than the one that its file has.
 *
 * @category warnings
 * @since 0.1.0
 */
export class ImplausibleTimeout extends Schema.TaggedClass<ImplausibleTimeout>("@mcp-sessions/core/ImplausibleTimeout")(
  "ImplausibleTimeout",
  { ...where, key: Schema.String, unit: Schema.Literals(["milliseconds", "seconds"]) }
) implements Described {
  get description(): string {
    const { key, unit } = this
    const other = unit === "seconds" ? "milliseconds" : "seconds"
    return `${JSON.stringify(key)} counts ${unit} in this file; the value looks like ${other}`
  }
  get message(): string {
    return at(this, this.description)
  }
}

/**
 * A warning about a configuration file.
 *
 * @category models
 * @since 0.1.0
 */
export type ConfigWarning = IgnoredKey | UnfamiliarKey | ImplausibleTimeout
