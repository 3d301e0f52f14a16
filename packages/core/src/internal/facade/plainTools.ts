/**
 * A catalog of tools in promises.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ConfigError } from "../../ConfigError.ts"
import type { CallToolResult } from "../../Mcp.ts"
import type { SessionError } from "../../SessionError.ts"
import type { CallOptions, CatalogChange, CatalogTool, ToolCatalog } from "../../ToolCatalog.ts"
import { ToolError } from "../../ToolError.ts"
import { BadOptions, type Rules, rulesOf } from "../config/callOptions.ts"
import { anything } from "../config/optionRules.ts"
import { type CatalogOptions, catalogRules } from "../toolkit/catalogOptions.ts"
import type { Interceptor, ToolCall } from "../toolkit/interceptors.ts"
import { effectOptions, plain, rules } from "./effectOptions.ts"
import { rejected } from "./promiseCall.ts"
import type { SignalOptions } from "./promised.ts"
import { type Caller, type Closeable, fromPromise, iterate } from "./promiseRuntime.ts"

/**
 * Runs around each call of a tool, as an async function: see `ToolCatalog.Interceptor`. To deny a call, it throws a `ToolError` with the reason
 * `CallDenied`.
 *
 * @category models
 * @since 0.1.0
 */
export type PlainInterceptor = (
  call: ToolCall,
  next: (args: Record<string, unknown>) => Promise<CallToolResult>
) => Promise<CallToolResult>

type PlainDecision = (call: ToolCall) => boolean | Promise<boolean>

/**
 * Options of the tools of servers: those of a catalog, with plain or async functions.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolsOptions extends Omit<CatalogOptions, "approve" | "interceptors" | "needsApproval"> {
  /** Decides on each call, with the arguments that are about to be sent; with `false`, the call fails with `CallDenied`. */
  readonly approve?: PlainDecision | undefined
  /** Whether the framework must ask a person before it makes the call. Default: `false`. */
  readonly needsApproval?: PlainDecision | undefined
  /** Run around each call, the first outermost. Default: none. */
  readonly interceptors?: ReadonlyArray<PlainInterceptor> | undefined
}

/** The rules of {@link ToolsOptions}. */
export const toolsRules = plain(catalogRules)

/** The rules of calls. Their values come from a model, so the catalog refuses them with a `ToolError`. */
const callRules = plain(rulesOf<CallOptions>({ args: anything, callId: anything, name: anything }))

const isToolError = Schema.is(ToolError)

const decisionOf = (decide: PlainDecision) => (call: ToolCall): Effect.Effect<boolean> =>
  Effect.promise(() => Promise.resolve(call).then(decide))

/** What `next` has started ends with the interceptor. */
const interceptorOf = (plain: PlainInterceptor): Interceptor => (call, next) =>
  Effect.scoped(Effect.flatMap(FiberSet.makeRuntimePromise(), (run) =>
    fromPromise({
      run: () => plain(call, (args) => run(next(args))),
      isTyped: isToolError
    })))

const isList = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)

/** Makes the options of a catalog. What is no function is left for the catalog to refuse. */
export const catalogOptions = ({ approve, interceptors, needsApproval, ...rest }: ToolsOptions): CatalogOptions => {
  const isEach = isList(interceptors) && interceptors.every((one) => typeof one === "function")
  return {
    ...rest,
    ...(approve === undefined ? {} : { approve: typeof approve === "function" ? decisionOf(approve) : approve }),
    ...(needsApproval === undefined
      ? {}
      : { needsApproval: typeof needsApproval === "function" ? decisionOf(needsApproval) : needsApproval }),
    ...(interceptors === undefined
      ? {}
      : { interceptors: isEach ? interceptors.map(interceptorOf) : interceptors as never })
  }
}

/**
 * The tools of several servers under names that models accept: a `ToolCatalog` in promises. The modules `AiSdk`, `LangChain`
 * and `OpenAiAgents` of `@mcp-sessions/transports` make tools of those frameworks of it. Closing it ends the connections that it holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpTools extends Closeable {
  /** The tools that the model sees now, with their accepted definitions. */
  readonly list: () => ReadonlyArray<CatalogTool>
  /** The tools whose definitions are not accepted, as their servers list them. */
  readonly held: () => ReadonlyArray<CatalogTool>
  /** The fingerprints of the accepted definitions, by name: to be stored, and given to the next catalog. */
  readonly pins: () => Readonly<Record<string, string>>
  /** Calls a tool. Rejects with a `ToolError`, also where the tool reports that it failed. */
  readonly call: (options: CallOptions & SignalOptions) => Promise<CallToolResult>
  /** Whether `needsApproval` wants a person to be asked before the call. */
  readonly needsApproval: (options: CallOptions & SignalOptions) => Promise<boolean>
  /** Accepts the definition that the server of a tool lists now. */
  readonly accept: (name: string, options?: SignalOptions) => Promise<void>
  /**
   * Lists the tools of all servers again, for servers that do not notify of changes, and after a sign-in. If servers cannot list theirs, rejects
   * with the failure of one once the others have.
   */
  readonly refresh: (options?: SignalOptions) => Promise<void>
  /** The changes from now on, until the tools or the sessions are closed. */
  readonly changes: (options?: SignalOptions) => AsyncIterable<CatalogChange>
}

/** Makes tools in promises of a catalog. `server` is the one that errors name which are of no tool. */
export const toolsOf = ({ catalog, closeable, run, server }: {
  readonly catalog: ToolCatalog
  readonly server: string
  readonly closeable: Closeable
  readonly run: <A>(
    effect: Effect.Effect<A, SessionError | ConfigError | ToolError>,
    caller: Caller,
    options?: SignalOptions
  ) => Promise<A>
}): McpTools => {
  const list = () => Effect.runSync(catalog.tools)
  const callerOf = (name: string): Caller => ({ server: list().find((tool) => tool.name === name)?.server ?? server })

  /** Runs an effect of options that keep to the rules. */
  const runWith = <A, O extends SignalOptions>(
    { caller, options, rules: optionRules, required }: {
      readonly caller: Caller
      readonly options: O | undefined
      readonly rules: Rules
      readonly required?: ReadonlyArray<string>
    },
    effect: () => Effect.Effect<A, SessionError | ConfigError | ToolError>
  ): Promise<A> => {
    const checked = effectOptions<O>({ rules: optionRules, options, server: caller.server, required })
    return checked instanceof BadOptions ? rejected(checked) : run(Effect.suspend(effect), caller, options)
  }

  const runCall = <A>(
    options: CallOptions & SignalOptions,
    effect: (options: CallOptions) => Effect.Effect<A, ToolError>
  ): Promise<A> =>
    runWith(
      {
        caller: callerOf((options as typeof options | undefined)?.name ?? ""),
        options,
        rules: callRules,
        required: []
      },
      () => effect(options)
    )

  return {
    list,
    held: () => Effect.runSync(catalog.held),
    pins: () => Effect.runSync(catalog.pins),
    call: (options) => runCall(options, catalog.call),
    needsApproval: (options) => runCall(options, catalog.needsApproval),
    accept: (name, options) =>
      runWith({ caller: callerOf(name), options, rules: rules.signal }, () => catalog.accept(name)),
    refresh: (options) => runWith({ caller: { server }, options, rules: rules.signal }, () => catalog.refresh),
    changes: (options) => {
      const checked = effectOptions({ rules: rules.signal, options, server })
      return checked instanceof BadOptions
        ? Stream.toAsyncIterable(Stream.fail(checked.error))
        : iterate({ stream: catalog.changes, server, signal: options?.signal })
    },
    ...closeable
  }
}
