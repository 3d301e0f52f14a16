/**
 * Options of a catalog: checked as a whole before anything is listed.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { ConfigError, InvalidValue, UnknownServer } from "../../ConfigError.ts"
import { BadOptions, checkBy, isPlainObject, optional, type Rules, rulesOf } from "../config/callOptions.ts"
import { andList } from "../config/nameList.ts"
import { aFunction, mode, text } from "../config/optionRules.ts"
import type { Interceptor, ToolCall } from "./interceptors.ts"
import type { ToolPlace } from "./toolNames.ts"
import * as toolPattern from "./toolPattern.ts"

/**
 * Options of a catalog of tools.
 *
 * @category models
 * @since 0.1.0
 */
export interface CatalogOptions {
  /** The servers whose tools are offered. Default: all that are not disabled. */
  readonly servers?: ReadonlyArray<string> | undefined
  /** The owner whose sessions are used. Default: `Owner.CurrentOwner`. */
  readonly owner?: string | undefined
  /**
   * The tools that are offered, as patterns `server/tool`, where `*` stands for any characters; a pattern without a slash stands for all tools
   * of a server. Default: all.
   */
  readonly include?: ReadonlyArray<string> | undefined
  /** The tools that are not offered, as patterns. They win over `include`. Default: none. */
  readonly exclude?: ReadonlyArray<string> | undefined
  /**
   * Makes the name of a tool for the model. Characters that providers refuse are replaced, and a long name is shortened; a fingerprint then
   * ends it. Default: `server_tool`.
   */
  readonly name?: ((place: ToolPlace) => string) | undefined
  /**
   * Decides on each call, with the arguments that are about to be sent; with `false`, the call fails with `CallDenied`. Default: every call
   * is made.
   */
  readonly approve?: ((call: ToolCall) => boolean | Effect.Effect<boolean>) | undefined
  /**
   * Whether the framework must ask a person before it makes the call. With `effect/ai`, the response then has an approval request, which the
   * program answers. Default: `false`.
   */
  readonly needsApproval?: ((call: ToolCall) => boolean | Effect.Effect<boolean>) | undefined
  /** Run around each call, the first outermost. Default: none. */
  readonly interceptors?: ReadonlyArray<Interceptor> | undefined
  /**
   * The fingerprints of the definitions that were accepted before, by name, as `pins` of a catalog gives them. Any other definition is held
   * until it is accepted. Default: each definition is accepted when it is first listed, and held when it changes.
   */
  readonly pins?: Readonly<Record<string, string>> | undefined
  /**
   * `strict`: fails if a server cannot list its tools. `best-effort` (default): fails only if none can; the tools of the others are offered as
   * soon as their servers can be reached.
   */
  readonly mode?: "strict" | "best-effort" | undefined
}

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(Predicate.isString)

const patterns = { is: optional(isTexts), expected: "a list of patterns such as \"files/write_*\"" }

/** What each option must be. */
export const catalogRules: Rules = rulesOf<CatalogOptions>({
  approve: aFunction,
  exclude: patterns,
  include: patterns,
  interceptors: {
    is: optional((value) => Array.isArray(value) && value.every(Predicate.isFunction)),
    expected: "a list of functions"
  },
  mode,
  name: aFunction,
  needsApproval: aFunction,
  owner: text,
  pins: {
    is: optional((value) => isPlainObject(value) && Object.values(value as object).every(Predicate.isString)),
    expected: "an object of fingerprints"
  },
  servers: { is: optional(isTexts), expected: "a list of server names" }
})

/** The options of a catalog with their patterns read. */
export interface ReadOptions extends CatalogOptions {
  readonly servers: ReadonlyArray<string>
  readonly isOffered: (place: ToolPlace) => boolean
}

/** A mistyped server in `exclude` would offer what must not be offered, so each pattern must be of a server in use. */
const strayPatterns = (
  key: "include" | "exclude",
  { options, servers }: { readonly options: CatalogOptions; readonly servers: ReadonlyArray<string> }
) =>
  (options[key] ?? []).flatMap((pattern, index) => {
    const { server } = toolPattern.parse(pattern)
    return servers.some((text) => toolPattern.isMatch({ pattern: server, text })) ? [] : [
      new InvalidValue({
        path: [key, index],
        expected: `a pattern of one of the servers ${andList(servers.map((name) => JSON.stringify(name)))}`
      })
    ]
  })

/** Checks the options. `configured` are the names of all servers, `enabled` of those that are not disabled. */
export const readOptions = (
  { configured, enabled, options }: {
    readonly options: CatalogOptions
    readonly configured: ReadonlyArray<string>
    readonly enabled: ReadonlyArray<string>
  }
): Effect.Effect<ReadOptions, ConfigError> => {
  const checked = checkBy(catalogRules, options)
  if (checked instanceof BadOptions) return Effect.fail(checked.error)
  const servers = [...new Set(options.servers ?? enabled)]
  const unknown = servers.filter((server) => !configured.includes(server)).map((server) =>
    new UnknownServer({ server, path: [], validNames: configured })
  )
  const parts = { options, servers }
  const [first, ...rest] = [...unknown, ...strayPatterns("include", parts), ...strayPatterns("exclude", parts)]
  if (first !== undefined) return Effect.fail(new ConfigError({ problems: [first, ...rest] }))
  const include = options.include?.map(toolPattern.parse)
  const exclude = (options.exclude ?? []).map(toolPattern.parse)
  return Effect.succeed({
    ...options,
    servers,
    isOffered: (place) =>
      (include === undefined || toolPattern.matches({ patterns: include, place })) &&
      !toolPattern.matches({ patterns: exclude, place })
  })
}
