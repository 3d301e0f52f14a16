/**
 * What a client does for a server that asks it: sampling, elicitation, roots; and with what a server logs.
 *
 * A handler that is there is declared to servers as a capability, and one that is not is neither declared nor reachable:
 * what was never offered is refused. The same handlers serve requests of legacy servers and the `input_required` rounds of
 * modern ones.
 *
 * **Gotchas**
 *
 * Handlers are taken from where the `Sessions` layer is built, not from where a session is used: a connection is shared,
 * and must not answer one caller with the handlers of another.
 *
 * **Example** (Answering a form)
 *
 * ```ts import.meta.vitest
 * import { ClientHandlers, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const handlers = Layer.succeed(ClientHandlers.ClientHandlers, {
 *   elicitation: { form: () => Effect.succeed({ action: "decline" }) }
 * })
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Layer.merge(Transports.layer, handlers)))
 *
 * const program = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   return yield* sessions.callTool("everything", "echo", { message: "hi" })
 * })
 * const result = await Effect.runPromise(Effect.provide(program, live))
 * result.content.length // => 1
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type {
  CreateMessageParams,
  CreateMessageResult,
  ElicitFormParams,
  ElicitResult,
  ElicitUrlParams,
  Root
} from "./Mcp.ts"
import type { LogLevel, LogMessage } from "./Notification.ts"

/**
 * A handler's refusal to do what the server asks, such as a user's who was asked. The server sees the description.
 *
 * @category errors
 * @since 0.1.0
 */
export class RequestRefused
  extends Schema.TaggedError<RequestRefused>("@mcp-sessions/core/RequestRefused")("RequestRefused", {
    description: Schema.String
  })
{
  override get message(): string {
    return this.description
  }
}

/**
 * The handlers of a client. Each one that is present is declared.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handlers {
  /** Lets a language model answer. */
  readonly sampling?: ((params: CreateMessageParams) => Effect.Effect<CreateMessageResult, RequestRefused>) | undefined
  /** Asks the user: by a form, or by sending them to a URL. Defaults of a form's schema are filled in afterwards. */
  readonly elicitation?: {
    readonly form?: ((params: ElicitFormParams) => Effect.Effect<ElicitResult, RequestRefused>) | undefined
    readonly url?: ((params: ElicitUrlParams) => Effect.Effect<ElicitResult, RequestRefused>) | undefined
  } | undefined
  /** Names the directories that a server may work in. */
  readonly roots?: Effect.Effect<ReadonlyArray<Root>, RequestRefused> | undefined
  /** Tells servers of the legacy era that the roots have changed, once for each element. Run once for each connection. */
  readonly rootsChanges?: Stream.Stream<unknown> | undefined
  /**
   * Gets the log messages of all servers, those of one server one after the other. Servers that log are asked for those of `level` and above.
   * Of what waits for a slow handler, the latest 256 messages are kept.
   */
  readonly logging?: {
    readonly level: LogLevel
    readonly handle: (message: LogMessage, from: { readonly server: string }) => Effect.Effect<void>
  } | undefined
}

/**
 * Reference to the handlers of a client. Default: none.
 *
 * @category references
 * @since 0.1.0
 */
export const ClientHandlers: Context.Reference<Handlers> = Context.Reference<Handlers>(
  "@mcp-sessions/core/ClientHandlers",
  { defaultValue: () => ({}) }
)
