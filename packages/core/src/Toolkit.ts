/**
 * The tools of MCP servers as an `effect/ai` toolkit, for `LanguageModel` and `Chat`.
 *
 * **Details**
 *
 * The toolkit is an effect that gives the tools of the moment, so that each turn of a model sees the current ones. It is made over a
 * `ToolCatalog`, which names, pins, intercepts and delivers the calls.
 *
 * The result of a call is a `CallToolResult`; the model sees the parts of it that `output` chooses. By default, a failed call is a result that
 * the model can read (`failureMode: "return"`). A call that may have run says so to the model, and is never repeated by the toolkit.
 *
 * **Gotchas**
 *
 * Tool choice, parallel calls and approval requests are matters of `effect/ai`. The JSON Schemas of servers are passed through, and arguments
 * are checked by the server.
 *
 * **Example** (Letting a model call the tools of a server)
 *
 * ```ts import.meta.vitest
 * import { Sessions, Toolkit } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 *
 * // A model that calls one tool.
 * const model = Layer.effect(LanguageModel.LanguageModel, LanguageModel.make({
 *   generateText: () => Effect.succeed([
 *     { type: "tool-call", id: "1", name: "everything_get-sum", params: { a: 2, b: 3 } },
 *     { type: "finish", reason: "tool-calls", usage: { inputTokens: {}, outputTokens: {} } }
 *   ]),
 *   streamText: () => Stream.empty
 * }))
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const agent = Effect.gen(function*() {
 *   const toolkit = yield* Toolkit.make({ include: ["everything/get-sum"] })
 *   const { toolResults } = yield* LanguageModel.generateText({ prompt: "What is 2 and 3?", toolkit })
 *   return toolResults[0]?.result
 * }).pipe(Effect.scoped, Effect.provide(Layer.merge(live, model)))
 *
 * await Effect.runPromise(agent) // => { content: [{ type: "text", text: "The sum of 2 and 3 is 5." }] }
 * ```
 *
 * @since 0.1.0
 */
import * as Tool from "effect/ai/Tool"
import * as AiToolkit from "effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "./ConfigError.ts"
import { BadOptions, checkBy, type Rules } from "./internal/config/callOptions.ts"
import { anything, oneOf } from "./internal/config/optionRules.ts"
import { catalogRules } from "./internal/toolkit/catalogOptions.ts"
import type { CallToolResult } from "./Mcp.ts"
import { fromResult, type ModelOutput } from "./ModelPrompt.ts"
import { Delivery } from "./SessionError.ts"
import type { OpenFailed, Sessions } from "./Sessions.ts"
import * as ToolCatalog from "./ToolCatalog.ts"
import { ToolError, type ToolNameCollision } from "./ToolError.ts"

/**
 * Schema of the result of a call, as the server sent it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Result: Schema.declare<CallToolResult> = Schema.declare((value): value is CallToolResult =>
  typeof value === "object" && value !== null && "content" in value && Array.isArray(value.content)
)

/**
 * Schema of a failed call: a `ToolError`, encoded as the text for the model and how far the call got. It cannot be decoded.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Failure = Schema.Struct({ error: Schema.String, delivery: Delivery }).pipe(
  Schema.decodeTo(Schema.toType(ToolError), {
    decode: SchemaGetter.forbidden<ToolError, { readonly error: string; readonly delivery: Delivery }>(() =>
      "The failure of a tool call cannot be read back from what the model has seen"
    ),
    encode: SchemaGetter.transform(({ delivery, forModel }: ToolError) => ({ error: forModel, delivery }))
  })
)

/**
 * A tool of a server. With the mode `return`, a failed call is a result for the model; with `error`, the generation fails with the `ToolError`.
 *
 * @category models
 * @since 0.1.0
 */
export type McpTool<Mode extends Tool.FailureMode> = Tool.Tool<string, {
  readonly parameters: typeof Schema.Unknown
  readonly success: typeof Result
  readonly failure: typeof Failure
  readonly failureMode: Mode
}>

/**
 * Options of a toolkit: those of its catalog, and what the model sees of results.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolkitOptions<Mode extends Tool.FailureMode> extends ToolCatalog.CatalogOptions {
  /** Whether a failed call is a result for the model, or an error of the generation. Default: `return`. */
  readonly failureMode?: Mode | undefined
  /** What the model sees of a result. Default: `content`, text and files. */
  readonly output?: ModelOutput | undefined
}

/**
 * The tools of the moment and their handlers, as an effect that `LanguageModel` and `Chat` run on each turn. `catalog` accepts definitions, and
 * reports changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Toolkit<Mode extends Tool.FailureMode = "return">
  extends Effect.Effect<AiToolkit.WithHandler<Record<string, McpTool<Mode>>>>
{
  /** The catalog of the tools: accepts definitions, and reports changes. */
  readonly catalog: ToolCatalog.ToolCatalog
}

type Handled<Mode extends Tool.FailureMode> = AiToolkit.WithHandler<Record<string, McpTool<Mode>>>

type Called = Pick<AiToolkit.HandlerContext<Tool.Any>, "toolCallId">

/** What a server says of its tool. Servers may be wrong about it. */
const annotated = <T extends { readonly annotations: Context.Context<never> }>(
  tool: T,
  { definition }: ToolCatalog.CatalogTool
): Context.Context<never> => {
  const { destructiveHint, idempotentHint, openWorldHint, readOnlyHint, title } = definition.annotations ?? {}
  const shown = definition.title ?? title
  return tool.annotations.pipe(
    Context.add(Tool.Strict, false),
    Context.add(Tool.Readonly, readOnlyHint === true),
    Context.add(Tool.Destructive, destructiveHint !== false),
    Context.add(Tool.Idempotent, idempotentHint === true),
    Context.add(Tool.OpenWorld, openWorldHint !== false),
    (context) => shown === undefined ? context : Context.add(context, Tool.Title, shown)
  )
}

class McpToolkit<Mode extends Tool.FailureMode> extends Effectable.Class<Handled<Mode>> implements Toolkit<Mode> {
  readonly catalog: ToolCatalog.ToolCatalog
  readonly #mode: Mode
  readonly #output: ModelOutput | undefined
  #made: { readonly version: number; readonly handled: Handled<Mode> } | undefined

  constructor(catalog: ToolCatalog.ToolCatalog, mode: Mode, output: ModelOutput | undefined) {
    super()
    this.catalog = catalog
    this.#mode = mode
    this.#output = output
  }

  /** The same object until the offered tools change: models keep decoders for each set of tools. */
  override asEffect(): Effect.Effect<Handled<Mode>> {
    return Effect.gen({ self: this }, function*() {
      const version = yield* this.catalog.version
      if (this.#made?.version === version) return this.#made.handled
      const handled = yield* this.#handled(yield* this.catalog.tools)
      this.#made = { version, handled }
      return handled
    })
  }

  /** Works on tools of one mode: `effect/ai` derives types of each mode that say nothing for all modes. */
  #handled(tools: ReadonlyArray<ToolCatalog.CatalogTool>): Effect.Effect<Handled<Mode>> {
    const toolkit = AiToolkit.make(...tools.map((tool) => this.#toolOf(tool)))
    const handlers: Record<string, (args: unknown, context: Called) => Effect.Effect<CallToolResult, ToolError>> = {}
    for (const { name } of tools) {
      Object.defineProperty(handlers, name, {
        enumerable: true,
        value: (args: unknown, { toolCallId }: Called) => this.catalog.call({ name, args, callId: toolCallId })
      })
    }
    return Effect.map(
      Effect.flatMap(toolkit.toHandlers(handlers), (context) => Effect.provideContext(toolkit, context)),
      (handled) => handled as unknown as Handled<Mode>
    )
  }

  #toolOf(tool: ToolCatalog.CatalogTool): McpTool<"error"> {
    const { definition, name } = tool
    const made = Tool.dynamic(name, {
      description: definition.description,
      parameters: definition.inputSchema,
      success: Result,
      failure: Failure,
      failureMode: this.#mode,
      needsApproval: (args: unknown, { toolCallId }: Tool.NeedsApprovalContext) =>
        this.catalog.needsApproval({ name, args, callId: toolCallId }),
      toModelOutput: (result: CallToolResult) => fromResult({ result, output: this.#output })
    })
    return made.annotateMerge(annotated(made, tool)) as McpTool<"error">
  }
}

const toolkitRules: Rules = new Map([
  ...catalogRules,
  ["failureMode", oneOf("error", "return")],
  ["output", anything]
])

/**
 * Makes a toolkit of the tools of servers, for as long as the scope. Connects to the servers and lists their tools before it succeeds, and
 * fails as `ToolCatalog.make` does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Mode extends Tool.FailureMode = "return">(
  options: ToolkitOptions<Mode> = {}
): Effect.Effect<Toolkit<Mode>, ConfigError | OpenFailed | ToolNameCollision, Sessions | Scope.Scope> =>
  Effect.suspend(() => {
    const checked = checkBy(toolkitRules, options)
    if (checked instanceof BadOptions) return Effect.fail(checked.error)
    const { failureMode = "return" as Mode, output, ...catalog } = options
    return Effect.map(ToolCatalog.make(catalog), (made) => new McpToolkit(made, failureMode, output))
  })
