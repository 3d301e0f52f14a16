/**
 * Runs one client in a process of its own, so that no client has the garbage, timers or patches of another: `contender.ts NAME
 * SERVER`. Says when it is connected, makes calls for each spell that it is sent, and closes when the parent disconnects.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { definitionOf } from "../test/peers/clients/mcpSessions.ts"
import type { PeerSession, ServerOf } from "../test/peers/Peer.ts"
import { load } from "../test/peers/peers.ts"
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

const score = async ({ millis }: Spell, all: (next: () => boolean) => Promise<unknown>): Promise<Score> => {
  let calls = 0
  const cpu = process.cpuUsage()
  const start = performance.now()
  await all(() => {
    if (performance.now() - start > millis) return false
    calls++
    return true
  })
  const { system, user } = process.cpuUsage(cpu)
  return { perSecond: calls / (performance.now() - start) * 1000, cpu: (system + user) / calls }
}

interface Contender {
  readonly call: () => Promise<unknown>
  readonly run: (spell: Spell) => Promise<Score>
  readonly close: () => Promise<unknown>
}

const [tool, args] = ["echo", { message: "hello" }] as const

const inPromises = async (connected: Promise<PeerSession>): Promise<Contender> => {
  const session = await connected
  const call = () => session.call(tool, args)
  const run = (spell: Spell) =>
    score(spell, (next) => {
      const worker = async () => {
        while (next()) await call()
      }
      return Promise.all(Array.from({ length: spell.inFlight }, worker))
    })
  return { call, run, close: session.close }
}

const inEffect = async (server: ServerOf): Promise<Contender> => {
  const runtime = ManagedRuntime.make(
    Sessions.layer({ servers: { server: definitionOf(server) } }).pipe(Layer.provide(Transports.layer))
  )
  const scope = Scope.makeUnsafe()
  const session = await runtime.runPromise(
    Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("server")).pipe(Scope.provide(scope))
  )
  const call = session.callTool(tool, args)
  const run = (spell: Spell) =>
    score(spell, (next) => {
      const worker = Effect.whileLoop({ while: next, body: () => call, step: () => {} })
      const workers = Array.from({ length: spell.inFlight }, () => worker)
      return Effect.runPromise(Effect.all(workers, { concurrency: "unbounded", discard: true }))
    })
  const close = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await runtime.dispose()
  }
  return { call: () => Effect.runPromise(call), run, close }
}

const open = async (name: string, server: ServerOf): Promise<Contender> => {
  if (name === "mcp-sessions, Effect") return inEffect(server)
  return inPromises(name === "raw" ? connect(server) : (await load(name)).connect(server))
}

const [, , name = "", server = ""] = process.argv
const { call, close, run } = await open(name, JSON.parse(server))

// Some clients resolve with an error, and nothing is faster than that.
const response = JSON.stringify(await call())
if (!response.includes("hello")) throw new Error(`${name} got ${response}`)

process.on("message", async (spell: Spell) => process.send?.(await run(spell)))
process.on("disconnect", async () => {
  await close()
  process.exit(0)
})
process.send?.("connected")
