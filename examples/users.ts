/**
 * A back end for many users: each has sessions and credentials of their own, and nothing that a server keeps for one is seen by another.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Mcp, Owner, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Console, Effect, Layer, Redacted } from "effect"

const live = Sessions.layer({
  servers: { crm: { command: "mcp-server-everything", args: ["stdio"] } },
  credentials: ({ owner }) => Effect.succeed({ env: { CRM_TOKEN: Redacted.make(`token-of-${owner}`) } })
}).pipe(Layer.provide(Transports.layer))

/** What a route does. It does not know of owners. */
const findToken = Effect.gen(function*() {
  const { callTool } = yield* Sessions.Sessions
  const environment = Mcp.text(yield* callTool("crm", "get-env"))
  return /"CRM_TOKEN": "(.*)"/.exec(environment)?.[1]
})

/** The one place that names the owner. */
const handle = (request: { readonly user: string }) =>
  findToken.pipe(Effect.provideService(Owner.CurrentOwner, request.user))

export const program = Effect.gen(function*() {
  const tokens = yield* Effect.forEach([{ user: "ada" }, { user: "bob" }], handle, { concurrency: "unbounded" })
  const { connections } = yield* Effect.flatMap(Sessions.Sessions, ({ status }) => status("crm"))
  return { tokens, owners: connections.map(({ owner }) => owner).toSorted() }
}).pipe(Effect.provide(live))

if (import.meta.main) NodeRuntime.runMain(Effect.flatMap(program, Console.log))
