/**
 * Runs one client in a process of its own, so that no client has the garbage, timers or patches of another: `contender.ts NAME
 * SERVER`. Says when it is connected, makes calls for each spell that it is sent, and ends when the parent disconnects.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { load } from "../test/otherClients/allClients.ts"
import { definitionOf } from "../test/otherClients/clients/mcpSessions.ts"
import type { ServerOf } from "../test/otherClients/ComparedClient.ts"
import { inEffect, raw } from "./figures.ts"
import { connect } from "./raw.ts"

/** How long to make calls, in milliseconds, and how many of them at a time. */
export interface Spell {
  readonly millis: number
  readonly inFlight: number
}

/** What a spell came to. */
export interface Score {
  readonly perSecond: number
  /** CPU time of the client's process for each call, in µs. */
  readonly cpu: number
}

interface Contender {
  readonly call: () => Promise<unknown>
  /** Keeps calls in flight for as long as `next` says. */
  readonly keep: (next: () => boolean, inFlight: number) => Promise<unknown>
}

const [tool, args] = ["echo", { message: "hello" }] as const

const ofPromises = (call: () => Promise<unknown>): Contender => ({
  call,
  keep: (next, inFlight) => {
    const worker = async () => {
      while (next()) await call()
    }
    return Promise.all(Array.from({ length: inFlight }, worker))
  }
})

const ofEffects = <E>(call: Effect.Effect<unknown, E>): Contender => ({
  call: () => Effect.runPromise(call),
  keep: (next, inFlight) => {
    const worker = Effect.whileLoop({ while: next, body: () => call, step: () => {} })
    const workers = Array.from({ length: inFlight }, () => worker)
    return Effect.runPromise(Effect.all(workers, { concurrency: "unbounded", discard: true }))
  }
})

const open = async (name: string, server: ServerOf): Promise<Contender> => {
  if (name === inEffect) {
    const live = Sessions.layer({ servers: { server: definitionOf(server) } }).pipe(Layer.provide(Transports.layer))
    const session = await ManagedRuntime.make(live).runPromise(
      Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("server")).pipe(Scope.provide(Scope.makeUnsafe()))
    )
    return ofEffects(session.callTool(tool, args))
  }
  const { call } = await (name === raw ? connect(server) : (await load(name)).connect(server))
  return ofPromises(() => call(tool, args))
}

const [, , name = "", server = ""] = process.argv
const { call, keep } = await open(name, JSON.parse(server))

// Some clients resolve with an error, and nothing is faster than that.
const response = JSON.stringify(await call())
if (!response.includes("hello")) throw new Error(`${name} got ${response}`)

process.on("message", async ({ inFlight, millis }: Spell) => {
  let calls = 0
  const cpu = process.cpuUsage()
  const start = performance.now()
  await keep(() => performance.now() - start <= millis && ++calls > 0, inFlight)
  const { system, user } = process.cpuUsage(cpu)
  const score: Score = { perSecond: calls / (performance.now() - start) * 1000, cpu: (system + user) / calls }
  process.send?.(score)
})
process.on("disconnect", () => process.exit(0))
process.send?.("connected")
