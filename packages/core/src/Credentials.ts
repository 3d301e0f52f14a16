/**
 * Credentials of owners: a {@link CredentialsProvider} returns the headers or environment variables of each owner.
 *
 * All owners of a server share its definition, but a connection is never shared between different credentials: not between owners, and
 * not between old and new credentials of one owner. The provider runs each time that a session is taken. If it returns new credentials,
 * later sessions use a new connection, and the old one closes when its last session is released. The provider also runs before each
 * connect, so that a reconnect does not use expired credentials.
 *
 * **Example** (Credentials for each tenant)
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
 * Credentials of one owner for one server: `headers` for servers with a URL, `env` for stdio servers. They extend the definition of the
 * server, override its entries of the same name, and pass the checks of the definition.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  /** Headers of every HTTP request or WebSocket handshake. For servers with a URL. */
  readonly headers?: Readonly<Record<string, Redacted.Redacted<string>>> | undefined
  /** Variables of the child process. For stdio servers. */
  readonly env?: Readonly<Record<string, Redacted.Redacted<string>>> | undefined
}

/**
 * Returns the credentials of an owner. It runs each time that a session is taken and before each connect, so cache credentials that are
 * expensive to fetch. It may take 10 seconds, or half of `connectTimeout` if that is less; then the operation fails with `CredentialsFailed`.
 *
 * @category models
 * @since 0.1.0
 */
export type CredentialsProvider = (request: {
  readonly owner: string
  readonly server: string
}) => Effect.Effect<Credentials, CredentialsFailed>
