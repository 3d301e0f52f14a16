/**
 * A pool of a server that keeps state for each session. A caller has a session, and so a cart, to itself for as long as it holds the lease. What
 * the server keeps stays after the lease, so each lease begins with an empty cart.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Mcp, SessionPool, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Console, Effect, Layer } from "effect"
import { join } from "node:path"

const cart = join(import.meta.dirname, "servers/cart.ts")
const live = Sessions.layer({ servers: { cart: { command: process.execPath, args: [cart] } } }).pipe(
  Layer.provide(Transports.layer)
)

export const program = Effect.gen(function*() {
  const pool = yield* SessionPool.make({ server: "cart", max: 2, acquireTimeout: "30 seconds" })
  const shop = (items: ReadonlyArray<string>) =>
    pool.use((session) =>
      Effect.gen(function*() {
        yield* session.callTool("clear")
        for (const item of items) yield* session.callTool("add", { item })
        return Mcp.text(yield* session.callTool("list"))
      })
    )
  const lists = [["tea", "sugar"], ["milk"], ["bread", "salt"], ["rice"]]
  const carts = yield* Effect.forEach(lists, shop, { concurrency: "unbounded" })
  const { max, total } = yield* pool.stats
  return { carts, isWithinLimit: total <= max }
}).pipe(Effect.scoped, Effect.provide(live))

if (import.meta.main) NodeRuntime.runMain(Effect.flatMap(program, Console.log))
