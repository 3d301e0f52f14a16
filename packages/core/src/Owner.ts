/**
 * The owner on whose behalf a session is used, such as a tenant or a user.
 *
 * Sessions are shared between callers with the same owner only: nothing that a server keeps for the session of one owner is seen by another.
 * A program for one identity does not have to set an owner.
 *
 * **Example** (Acting for the user of a request)
 *
 * ```ts import.meta.vitest
 * import { Owner, Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const handler = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   yield* sessions.callTool("everything", "echo", { message: "hi" })
 *   return (yield* sessions.status("everything")).connections.map(({ owner }) => owner)
 * })
 *
 * const program = handler.pipe(Effect.provideService(Owner.CurrentOwner, "user-7"))
 * await Effect.runPromise(Effect.provide(program, live)) // => ["user-7"]
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * Reference to the owner of the current program. Default: `"default"`. An `owner` option overrides it.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentOwner: Context.Reference<string> = Context.Reference<string>(
  "@mcp-sessions/core/Owner/CurrentOwner",
  {
    defaultValue: () => "default"
  }
)
