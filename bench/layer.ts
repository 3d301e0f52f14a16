/**
 * What the session layer costs per call, over a connection that answers in the same turn of the event loop.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { median } from "./harness.ts"
import { instant, request } from "./instant.ts"

const calls = 200_000
const rounds = 7

const micros = <E>(call: Effect.Effect<unknown, E>) =>
  Effect.gen(function*() {
    const start = performance.now()
    for (let i = 0; i < calls; i++) yield* call
    return (performance.now() - start) / calls * 1000
  })

const measured = Effect.gen(function*() {
  const session = yield* Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s"))
  const call = session.callTool("echo", { message: "hello" })
  const costs: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const bare = yield* micros(request)
    costs.push((yield* micros(call)) - bare)
  }
  console.log(
    `session layer: ${median(costs).toFixed(1)} µs per call over its connection (median of ${rounds} rounds)\n`
  )
})

const live = Sessions.layer({ servers: { s: { transport: "stdio", command: "none", args: [] } } }).pipe(
  Layer.provide(instant)
)

await Effect.runPromise(Effect.scoped(measured).pipe(Effect.provide(live)))
