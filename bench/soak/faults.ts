/**
 * What happens to the servers, one fault after the other.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { FaultLog } from "./FaultLog.ts"
import { type Random, shuffled } from "./random.ts"
import type { Servers } from "./Servers.ts"
import type { Target } from "./Tally.ts"

interface Fault {
  readonly name: string
  /** What it happens to: one fault at a time. */
  readonly to: "stdio" | "http" | "websocket" | "primary" | "secondary"
  readonly targets: ReadonlyArray<Target>
  /** How long it lasts, in milliseconds; at once over where there is none. */
  readonly lasts?: { readonly min: number; readonly max: number } | undefined
  readonly begin: (servers: Servers) => unknown
  readonly end?: ((servers: Servers) => unknown) | undefined
}

const spell = { min: 1000, max: 3000 }
const overHttp: ReadonlyArray<Target> = ["http", "pool"]

const faults: ReadonlyArray<Fault> = [
  { name: "stdio: killed", to: "stdio", targets: ["stdio"], begin: ({ signalStdio }) => signalStdio("SIGKILL") },
  {
    name: "stdio: frozen",
    to: "stdio",
    targets: ["stdio"],
    lasts: { min: 1000, max: 4000 },
    begin: ({ signalStdio }) => signalStdio("SIGSTOP"),
    end: ({ signalStdio }) => signalStdio("SIGCONT")
  },
  {
    name: "HTTP: all sessions forgotten",
    to: "http",
    targets: overHttp,
    begin: ({ http }) => http.tell("forget")
  },
  {
    name: "HTTP: killed, started again",
    to: "http",
    targets: overHttp,
    lasts: { min: 300, max: 2000 },
    begin: ({ http }) => http.kill(),
    end: ({ http }) => http.start()
  },
  {
    name: "HTTP: connections reset under calls",
    to: "http",
    targets: ["http"],
    lasts: spell,
    begin: ({ proxy }) => proxy.tell("reset 8"),
    end: ({ proxy }) => proxy.tell("well")
  },
  {
    name: "HTTP: frozen",
    to: "http",
    targets: overHttp,
    lasts: { min: 1000, max: 4000 },
    begin: ({ http }) => http.signal("SIGSTOP"),
    end: ({ http }) => http.signal("SIGCONT")
  },
  {
    // Longer than the ten seconds in which a server has to give a sign of life.
    name: "HTTP: frozen for long",
    to: "http",
    targets: overHttp,
    lasts: { min: 13_000, max: 15_000 },
    begin: ({ http }) => http.signal("SIGSTOP"),
    end: ({ http }) => http.signal("SIGCONT")
  },
  {
    name: "HTTP: answers 503",
    to: "http",
    targets: overHttp,
    lasts: spell,
    begin: ({ http }) => http.tell("status 503"),
    end: ({ http }) => http.tell("well")
  },
  {
    name: "HTTP: answers 429",
    to: "http",
    targets: overHttp,
    lasts: spell,
    begin: ({ http }) => http.tell("status 429 1"),
    end: ({ http }) => http.tell("well")
  },
  {
    name: "HTTP: event streams end without the answer",
    to: "http",
    targets: overHttp,
    lasts: { min: 300, max: 1500 },
    begin: ({ http }) => http.tell("cut"),
    end: ({ http }) => http.tell("well")
  },
  {
    name: "WebSocket: cut under a call",
    to: "websocket",
    targets: ["websocket"],
    lasts: { min: 300, max: 1500 },
    begin: ({ websocket }) => websocket.tell("cut"),
    end: ({ websocket }) => websocket.tell("well")
  },
  {
    name: "WebSocket: killed, started again",
    to: "websocket",
    targets: ["websocket"],
    lasts: { min: 300, max: 2000 },
    begin: ({ websocket }) => websocket.kill(),
    end: ({ websocket }) => websocket.start()
  },
  {
    name: "WebSocket: frozen",
    to: "websocket",
    targets: ["websocket"],
    lasts: { min: 1000, max: 4000 },
    begin: ({ websocket }) => websocket.signal("SIGSTOP"),
    end: ({ websocket }) => websocket.signal("SIGCONT")
  },
  {
    name: "primary: killed, started again",
    to: "primary",
    targets: ["fallback"],
    lasts: { min: 1000, max: 4000 },
    begin: ({ primary }) => primary.kill(),
    end: ({ primary }) => primary.start()
  },
  {
    name: "primary: answers 503 with Retry-After",
    to: "primary",
    targets: ["fallback"],
    lasts: spell,
    begin: ({ primary }) => primary.tell("status 503 1"),
    end: ({ primary }) => primary.tell("well")
  },
  {
    name: "secondary: all sessions forgotten",
    to: "secondary",
    targets: ["fallback"],
    begin: ({ secondary }) => secondary.tell("forget")
  }
]

const servedBy = [...new Set(faults.map(({ to }) => to))]

const millisOf = ({ lasts }: Fault, random: Random): number =>
  lasts === undefined ? 0 : lasts.min + (lasts.max - lasts.min) * random()

/** Lets all of them happen again and again, in ever new orders, and comes back when the last is over. */
export const inflict = (options: {
  readonly servers: Servers
  readonly log: FaultLog
  readonly random: Random
  readonly every: number
  /** For how long, in milliseconds. */
  readonly during: number
}): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { during, every, log, random, servers } = options
    const until = performance.now() + during
    const under = new Set<string>()
    const running: Array<Fiber.Fiber<void>> = []
    /** What is to come: servers in turn, and the faults of each in turn. Ever new orders of all. */
    const turns: Array<Fault["to"]> = []
    const toCome = new Map<Fault["to"], Array<Fault>>()

    /** The next of the first server that is well, if it ends in time. What cannot happen now stays, so that each has its turn. */
    const next = (): readonly [Fault, number] | undefined => {
      if (turns.length < servedBy.length) turns.push(...shuffled({ random, from: servedBy }))
      for (const [place, to] of turns.entries()) {
        if (under.has(to)) continue
        const left = toCome.get(to) ?? []
        if (left.length === 0) left.push(...shuffled({ random, from: faults.filter((fault) => fault.to === to) }))
        toCome.set(to, left)
        const lengths = left.map((fault) => millisOf(fault, random))
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
        under.add(fault.to)
        const end = log.begin(fault)
        yield* Effect.promise(async () => fault.begin(servers))
        if (millis > 0) yield* Effect.sleep(millis)
        yield* Effect.promise(async () => fault.end?.(servers))
        end()
        under.delete(fault.to)
      })

    while (performance.now() + every < until) {
      yield* Effect.sleep(every)
      const found = next()
      if (found !== undefined) running.push(yield* Effect.forkChild(occur(...found), { startImmediately: true }))
    }
    yield* Fiber.awaitAll(running)
    yield* Effect.sleep(Math.max(0, until - performance.now()))
  })

/** Has all servers refuse everything, each in a way of its own. */
export const failAll = ({ http, journal, primary, secondary, signalStdio, websocket }: Servers): Effect.Effect<void> =>
  Effect.promise(async () => {
    journal.setDown(true)
    signalStdio("SIGKILL")
    await Promise.all([
      http.tell("status 503"),
      websocket.tell("status 503"),
      primary.tell("status 503 1"),
      secondary.tell("refuse")
    ])
    await websocket.tell("drop")
  })

/** Ends that. */
export const healAll = ({ journal, programs }: Servers): Effect.Effect<void> =>
  Effect.promise(async () => {
    journal.setDown(false)
    await Promise.all(programs.map(([, program]) => program.tell("well")))
  })
