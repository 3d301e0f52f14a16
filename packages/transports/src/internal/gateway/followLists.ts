/**
 * Follows the lists of the servers of a gateway: which servers and tools it offers, and whose sessions list them.
 */
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { Session } from "@mcp-sessions/core/Session"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import * as ToolCatalog from "@mcp-sessions/core/ToolCatalog"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Catalog } from "./catalog/catalog.ts"
import { offersResources } from "./catalog/offersResources.ts"
import type { GatewayOptions } from "./gatewayOptions.ts"
import { selectServers } from "./selectServers.ts"

/** Follows the lists for as long as the scope. Waits for the first ones until `startTimeout`. Gives the names that collide. */
export const followLists = Effect.fnUntraced(function*({ options, owners, sessions, startTimeout }: {
  readonly sessions: Parameters<typeof selectServers>[0] & {
    readonly get: (
      server: string,
      options: { readonly owner: string }
    ) => Effect.Effect<Session, SessionError | ConfigError, Scope.Scope>
  }
  readonly options: Pick<GatewayOptions, "exclude" | "include" | "prefix" | "resources" | "servers">
  readonly owners: { readonly lists: string; readonly shared: string }
  readonly startTimeout: Duration.Duration
}) {
  const { permits, servers, stateless } = yield* selectServers(sessions, options.servers)
  /** Opens the session that the clients of a stateless server share; `undefined` for any other server. */
  const shared = (server: string): Effect.Effect<Session, SessionError | ConfigError, Scope.Scope> | undefined =>
    stateless.has(server) ? sessions.get(server, { owner: owners.shared }) : undefined
  const open = (server: string) => shared(server) ?? sessions.get(server, { owner: owners.lists })
  const catalog = new Catalog({
    servers,
    isOffered: yield* ToolCatalog.filter({ servers, include: options.include, exclude: options.exclude }),
    hasPrefix: options.prefix ?? servers.length > 1,
    hasResources: yield* offersResources({ servers, resources: options.resources }),
    open
  })
  const known = yield* catalog.follow
  yield* Effect.timeoutOption(
    Effect.forEach(known, Deferred.await, { concurrency: "unbounded", discard: true }),
    startTimeout
  )
  const collisions = catalog.settle()
  yield* ToolCatalog.warnOfUnmatchedPatterns({
    include: options.include,
    exclude: options.exclude,
    listed: catalog.tools
  })
  const isStateless = (server: string) => stateless.has(server)
  return { catalog, collisions, isStateless, open, permits, servers, shared }
})
