/**
 * The faults of the servers, one after another.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Random, shuffled } from "./options.ts"
import type { Servers } from "./Servers.ts"
import type { Tally, Target } from "./Tally.ts"

interface Fault {
  readonly name: string
  /** The server that it affects: one fault at a time. */
  readonly to: "stdio" | "http" | "websocket" | "primary" | "secondary"
  readonly targets: ReadonlyArray<Target>
  /** The shortest and the longest time that it lasts, in milliseconds; 0 for a fault that is over at once. */
  readonly lasts: readonly [min: number, max: number]
  readonly begin: (servers: Servers) => unknown
  readonly end?: (servers: Servers) => unknown
}

const [once, brief, spell, pause] = [[0, 0], [300, 2000], [1000, 3000], [1000, 4000]] as const

type ServerName = "http" | "websocket" | "primary" | "secondary"

const ordered = (to: ServerName, order: string) => ({
  begin: (servers: Servers) => servers[to].order(order),
  end: (servers: Servers) => servers[to].order("well")
})
const restarted = (to: ServerName) => ({
  begin: (servers: Servers) => servers[to].kill(),
  end: (servers: Servers) => servers[to].start()
})
const frozen = (to: ServerName | "stdio") => {
  const signal = (name: NodeJS.Signals) => (servers: Servers) =>
    to === "stdio" ? servers.signalStdio(name) : servers[to].signal(name)
  return { begin: signal("SIGSTOP"), end: signal("SIGCONT") }
}

const at = (to: Fault["to"], targets: ReadonlyArray<Target>) => ({ to, targets })
const stdio = at("stdio", ["stdio"])
const http = at("http", ["http", "pool"])
const websocket = at("websocket", ["websocket"])
const primary = at("primary", ["fallback"])

const faults: ReadonlyArray<Fault> = [
  { ...stdio, name: "stdio: killed", lasts: once, begin: ({ signalStdio }) => signalStdio("SIGKILL") },
  { ...stdio, name: "stdio: frozen", lasts: pause, ...frozen("stdio") },
  { ...http, name: "HTTP: all sessions forgotten", lasts: once, begin: ({ http }) => http.order("forget") },
  { ...http, name: "HTTP: killed, started again", lasts: brief, ...restarted("http") },
  {
    ...at("http", ["http"]),
    name: "HTTP: connections reset under calls",
    lasts: spell,
    begin: ({ proxy }) => proxy.order("reset 8"),
    end: ({ proxy }) => proxy.order("well")
  },
  { ...http, name: "HTTP: frozen", lasts: pause, ...frozen("http") },
  // Longer than the ten seconds of `healthInterval`.
  { ...http, name: "HTTP: frozen for long", lasts: [13_000, 15_000], ...frozen("http") },
  { ...http, name: "HTTP: answers 503", lasts: spell, ...ordered("http", "status 503") },
  { ...http, name: "HTTP: answers 429", lasts: spell, ...ordered("http", "status 429 1") },
  { ...http, name: "HTTP: event streams end without the answer", lasts: [300, 1500], ...ordered("http", "cut") },
  { ...websocket, name: "WebSocket: cut under a call", lasts: [300, 1500], ...ordered("websocket", "cut") },
  { ...websocket, name: "WebSocket: killed, started again", lasts: brief, ...restarted("websocket") },
  { ...websocket, name: "WebSocket: frozen", lasts: pause, ...frozen("websocket") },
  { ...primary, name: "primary: killed, started again", lasts: pause, ...restarted("primary") },
  { ...primary, name: "primary: answers 503 with Retry-After", lasts: spell, ...ordered("primary", "status 503 1") },
  {
    ...at("secondary", ["fallback"]),
    name: "secondary: all sessions forgotten",
    lasts: once,
    begin: ({ secondary }) => secondary.order("forget")
  }
]

const affected = [...new Set(faults.map(({ to }) => to))]

/** Runs the faults in random orders for a time, and completes when the last is over. */
export const inflict = (options: {
  readonly servers: Servers
  readonly tally: Tally
  readonly random: Random
  readonly every: number
  /** In milliseconds. */
  readonly during: number
}): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { during, every, random, servers, tally } = options
    const until = performance.now() + during
    const busy = new Set<string>()
    const running: Array<Fiber.Fiber<void>> = []
    /** The servers in turn, and the faults of each in turn. */
    const turns: Array<Fault["to"]> = []
    const toCome = new Map<Fault["to"], Array<Fault>>()

    /** The next fault of the first server without one, if it ends in time. */
    const next = (): readonly [Fault, number] | undefined => {
      if (turns.length < affected.length) turns.push(...shuffled({ random, from: affected }))
      for (const [place, to] of turns.entries()) {
        if (busy.has(to)) continue
        const left = toCome.get(to) ?? []
        if (left.length === 0) left.push(...shuffled({ random, from: faults.filter((fault) => fault.to === to) }))
        toCome.set(to, left)
        const lengths = left.map(({ lasts: [min, max] }) => min + (max - min) * random())
        const index = lengths.findIndex((millis) => performance.now() + millis < until - 500)
        const [fault] = index === -1 ? [] : left.splice(index, 1)
        if (fault === undefined) continue
        turns.splice(place, 1)
        return [fault, lengths[index] ?? 0]
      }
      return undefined
    }

    const occur = (fault: Fault, millis: number) =>
      Effect.gen(function*() {
        busy.add(fault.to)
        const end = tally.fault(fault.name, fault.targets)
        yield* Effect.promise(async () => fault.begin(servers))
        if (millis > 0) yield* Effect.sleep(millis)
        yield* Effect.promise(async () => fault.end?.(servers))
        end()
        busy.delete(fault.to)
      })

    while (performance.now() + every < until) {
      yield* Effect.sleep(every)
      const found = next()
      if (found !== undefined) running.push(yield* Effect.forkChild(occur(...found), { startImmediately: true }))
    }
    yield* Fiber.awaitAll(running)
    yield* Effect.sleep(Math.max(0, until - performance.now()))
  })

/** Makes all servers refuse everything, each in its own way. */
export const failAll = (servers: Servers): Effect.Effect<void> =>
  Effect.promise(async () => {
    const { http, primary, secondary, setStdioDown, signalStdio, websocket } = servers
    setStdioDown(true)
    signalStdio("SIGKILL")
    await Promise.all([
      http.order("status 503"),
      websocket.order("status 503"),
      primary.order("status 503 1"),
      secondary.order("refuse")
    ])
    await websocket.order("drop")
  })

export const healAll = ({ programs, setStdioDown }: Servers): Effect.Effect<void> =>
  Effect.promise(async () => {
    setStdioDown(false)
    await Promise.all(programs.map(([, program]) => program.order("well")))
  })
