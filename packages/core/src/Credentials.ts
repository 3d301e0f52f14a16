/**
 * What owners show to servers to be let in as themselves.
 *
 * All owners of a server share its one definition. Where each has credentials of its own, a {@link CredentialsProvider} gives them,
 * and no connection is shared between two that differ in them: not between owners, nor between an owner's old credentials and its
 * new ones. It is asked each time that a session is taken. When it gives others than before, the connection with the old ones is
 * let go of as soon as nobody uses it any more, and whoever takes a session from then on is on a new one. It is asked once more for each
 * connection, so that one that is made again long afterwards is not made with what has expired.
 *
 * **Example** (Acting for tenants)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Transports } from "@mcp-sessions/transports"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const live = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } },
 *   credentials: ({ owner }) => Effect.succeed({ env: { TENANT_TOKEN: Redacted.make(`token of ${owner}`) } })
 * }).pipe(Layer.provide(Transports.layer))
 *
 * const program = Effect.flatMap(Sessions.Sessions, ({ callTool }) =>
 *   callTool("everything", "get-env", {}, { owner: "tenant-7" }))
 * const result = await Effect.runPromise(Effect.provide(program, live))
 * JSON.stringify(result.content).includes("token of tenant-7") // => true
 * ```
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { CredentialsFailed } from "./SessionError.ts"

/**
 * The credentials of one owner at one server, beside what its definition says: `headers` for servers behind a URL, `env` for those
 * that are started. They stand in for those of the same name, and pass the same checks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  readonly headers?: Readonly<Record<string, Redacted.Redacted<string>>> | undefined
  readonly env?: Readonly<Record<string, Redacted.Redacted<string>>> | undefined
}

/**
 * Gives the credentials of an owner. It is asked each time that a session is taken, so one that has to fetch them remembers what it
 * has.
 *
 * @category models
 * @since 0.1.0
 */
export type CredentialsProvider = (request: {
  readonly owner: string
  readonly server: string
}) => Effect.Effect<Credentials, CredentialsFailed>
