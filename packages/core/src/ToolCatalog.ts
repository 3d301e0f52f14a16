/**
 * Tool catalog: the tools of several servers, under names that language models accept, for agents of any framework.
 *
 * **Details**
 *
 * A catalog holds a session of each server and follows its list of tools, over reconnects too. The tools of a server that is down stay in the
 * catalog: calls of them fail until it is back.
 *
 * The definition of each tool is pinned: the model sees the definition that was accepted, and when the server changes it, calls fail with
 * `DefinitionNotAccepted` until the program accepts the new one. Pins can be stored, and given to the next catalog.
 *
 * A call goes through the interceptors and `approve`, and is delivered as `Sessions.callTool` delivers it: a call that may have run is not
 * sent again, and fails with a `ToolError` whose text tells that to the model.
 *
 * **Gotchas**
 *
 * Make one catalog for an owner and keep it: each holds the connections of its servers. `Toolkit` makes an `effect/ai` toolkit of a catalog.
 *
 * **Example** (Calling a tool by the name that a model sees)
 *
 * ```ts import.meta.vitest
 * import { Mcp, Sessions, ToolCatalog } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.gen(function*() {
 *   const catalog = yield* ToolCatalog.make({ include: ["everything/get-*"], exclude: ["everything/get-env"] })
 *   const names = (yield* catalog.tools).map(({ name }) => name)
 *   const result = yield* catalog.call({ name: "everything_get-sum", args: { a: 2, b: 3 } })
 *   return [names.includes("everything_get-env"), Mcp.text(result)]
 * }).pipe(Effect.scoped, Effect.provide(live))
 *
 * await Effect.runPromise(program) // => [false, "The sum of 2 and 3 is 5."]
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ConfigError } from "./ConfigError.ts"
import { registryOf } from "./internal/registry/registryOf.ts"
import * as catalog from "./internal/toolkit/catalog.ts"
import type { CatalogChange } from "./internal/toolkit/catalog.ts"
import { type CatalogOptions, readOptions } from "./internal/toolkit/catalogOptions.ts"
import type { Interceptor, ToolCall } from "./internal/toolkit/interceptors.ts"
import type { CatalogTool, ToolChange } from "./internal/toolkit/offers.ts"
import type { ToolPlace } from "./internal/toolkit/toolNames.ts"
import { type ListedTools, warnOfUnmatched } from "./internal/toolkit/unmatchedPatterns.ts"
import type { CallToolResult } from "./Mcp.ts"
import { CurrentOwner } from "./Owner.ts"
import type { SessionError } from "./SessionError.ts"
import { OpenFailed, Sessions } from "./Sessions.ts"
import type { ToolError, ToolNameCollision } from "./ToolError.ts"

export type { CatalogChange, CatalogOptions, CatalogTool, Interceptor, ListedTools, ToolCall, ToolChange, ToolPlace }

/**
 * A call by name. `args` is what the model gave, `callId` the id that it gave to the call.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /** The name of the tool that the model knows. */
  readonly name: string
  /** The arguments that the model gave. Anything but an object fails with `InvalidArguments`. */
  readonly args?: unknown
  /** The id that the model gave to the call. */
  readonly callId?: string | undefined
}

/**
 * The tools of several servers. Valid until the scope in which it was made closes.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolCatalog {
  /** The tools that the model sees now, with their accepted definitions. */
  readonly tools: Effect.Effect<ReadonlyArray<CatalogTool>>
  /** A number that changes whenever `tools` does. */
  readonly version: Effect.Effect<number>
  /** The tools whose definitions are not accepted, as their servers list them. */
  readonly held: Effect.Effect<ReadonlyArray<CatalogTool>>
  /** The fingerprints of the accepted definitions, by name: to be stored, and given to the next catalog. */
  readonly pins: Effect.Effect<Readonly<Record<string, string>>>
  /** The changes from now on, until the catalog closes. Of those that wait for a slow reader, the latest 256 are kept. */
  readonly changes: Stream.Stream<CatalogChange>
  /** Calls a tool. A tool error (`isError: true`) is a failure with the reason `ToolFailed`. */
  readonly call: (options: CallOptions) => Effect.Effect<CallToolResult, ToolError>
  /** Whether `needsApproval` wants a person to be asked before the call. */
  readonly needsApproval: (options: CallOptions) => Effect.Effect<boolean>
  /** Accepts the definition that the server of a tool lists now. Fails with `ToolUnknown` if the tool is not listed. */
  readonly accept: (name: string) => Effect.Effect<void, ToolError>
  /**
   * Lists the tools of all servers again, for servers that do not notify of changes, and after a sign-in. If servers cannot list theirs, fails
   * with the failure of one once the others have.
   */
  readonly refresh: Effect.Effect<void, SessionError | ConfigError>
}

/**
 * Makes a catalog, for as long as the scope. Connects to its servers and lists their tools before it succeeds. Fails with a `ConfigError` if
 * the options are wrong, with `OpenFailed` if no server lists its tools (`strict`: if one does not), and with `ToolNameCollision` if two tools
 * would have one name. Logs a warning for each pattern of `include` and `exclude` that matches no tool.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: CatalogOptions = {}
): Effect.fn.Return<ToolCatalog, ConfigError | OpenFailed | ToolNameCollision, Sessions | Scope.Scope> {
  const sessions = yield* Sessions
  const enabled = registryOf(sessions)?.enabled.map(({ server }) => server) ?? sessions.names
  const read = yield* readOptions({ configured: sessions.names, enabled, options })
  const owner = options.owner ?? (yield* CurrentOwner)
  const made = yield* catalog.make({
    options: read,
    source: {
      session: (server) => sessions.get(server, { owner }),
      call: ({ args, server, tool }) => sessions.callTool(server, tool, args, { owner })
    },
    toError: (errors) => new OpenFailed({ errors })
  })
  return {
    tools: Effect.sync(() => made.tools),
    version: Effect.sync(() => made.version),
    held: Effect.sync(() => made.held),
    pins: Effect.sync(() => made.pins),
    changes: made.changes,
    call: ({ args, callId, name }) => made.calls.call(name, args, callId),
    needsApproval: ({ args, callId, name }) => made.calls.needsApproval(name, args, callId),
    accept: (name) => made.accept(name),
    refresh: made.refresh
  }
})

/**
 * Reads `include` and `exclude` as a predicate: which tools of `servers` they offer. For programs that offer tools without a catalog, such as a
 * gateway. Fails with a `ConfigError` if a server is unknown, or a pattern is of none of the servers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const filter = (
  options: Pick<CatalogOptions, "exclude" | "include"> & { readonly servers: ReadonlyArray<string> }
): Effect.Effect<(place: ToolPlace) => boolean, ConfigError> =>
  Effect.map(
    readOptions({ configured: options.servers, enabled: options.servers, options }),
    ({ isOffered }) => isOffered
  )

/**
 * Logs a warning for each pattern of `include` and `exclude` that matches none of the listed tools, as {@link make} does. A server without tools
 * may list some later, so a pattern of that server counts as matched. For programs that offer tools without a catalog, such as a gateway.
 *
 * @category checks
 * @since 0.1.0
 */
export const warnOfUnmatchedPatterns: (
  options: Pick<CatalogOptions, "exclude" | "include"> & { readonly listed: ReadonlyArray<ListedTools> }
) => Effect.Effect<void> = warnOfUnmatched
