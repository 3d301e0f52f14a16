/**
 * A program that a test runs without its server (`weather.test.ts`). `node weather.ts --record` runs it, and records the conversation.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Sessions } from "@mcp-sessions/core"
import { Recorded, Transports } from "@mcp-sessions/transports"
import { Console, Effect, Layer, Schema } from "effect"
import { join } from "node:path"

/** The servers, on transports that the caller chooses. */
export const sessions = Sessions.layer({
  servers: { weather: { command: "mcp-server-everything", args: ["stdio"] } }
})

export const recording: string = join(import.meta.dirname, "recordings/weather.jsonl")

const Weather = Schema.Struct({ temperature: Schema.Finite, conditions: Schema.String })

export const program = Effect.gen(function*() {
  const { callTool } = yield* Sessions.Sessions
  const location = { location: "New York" }
  const { conditions, temperature } = yield* callTool("weather", "get-structured-content", location, {
    schema: Weather,
    idempotent: true
  })
  return `${temperature} degrees, ${conditions}`
})

if (import.meta.main) {
  const transports = process.argv.includes("--record") ? Recorded.record(recording) : Transports.layer
  NodeRuntime.runMain(
    program.pipe(Effect.flatMap(Console.log), Effect.provide(Layer.provide(sessions, transports)))
  )
}
