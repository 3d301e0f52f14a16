/**
 * The faults of the servers, in random order.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type { Record, Target } from "./record.ts"
import type { Servers } from "./servers.ts"

type Name = keyof Servers["programs"]

interface Fault {
  readonly name: string
  /** The server that it affects: one fault at a time. */
  readonly to: Name | "stdio"
  /** The shortest and the longest time that it lasts, in milliseconds; 0 for a fault that is over at once. */
  readonly lasts: readonly [min: number, max: number]
  readonly begin: (servers: Servers) => unknown
  readonly end?: (servers: Servers) => unknown
}

const [once, brief, spell, pause] = [[0, 0], [300, 2000], [1000, 3000], [1000, 4000]] as const

const ordered = (to: Name, order: string) => ({
  to,
  begin: ({ programs }: Servers) => programs[to].order(order),
  end: ({ programs }: Servers) => programs[to].order("well")
})
const restarted = (to: Name) => ({
  to,
  begin: ({ programs }: Servers) => programs[to].kill(),
  end: ({ programs }: Servers) => programs[to].start()
})
const frozen = (to: Name | "stdio") => {
  const signal = (name: NodeJS.Signals) => ({ programs, signalStdio }: Servers) =>
    to === "stdio" ? signalStdio(name) : programs[to].signal(name)
  return { to, begin: signal("SIGSTOP"), end: signal("SIGCONT") }
}

const targetsOf: Readonly<globalThis.Record<Fault["to"], ReadonlyArray<Target>>> = {
  stdio: ["stdio"],
  http: ["http", "pool"],
  websocket: ["websocket"],
  primary: ["fallback"],
  secondary: ["fallback"]
}

const faults: ReadonlyArray<Fault> = [
  { name: "stdio: killed", to: "stdio", lasts: once, begin: ({ signalStdio }) => signalStdio("SIGKILL") },
  { name: "stdio: frozen", lasts: pause, ...frozen("stdio") },
  { name: "HTTP: all sessions forgotten", lasts: once, ...ordered("http", "forget") },
  { name: "HTTP: killed, started again", lasts: brief, ...restarted("http") },
  { name: "HTTP: connections reset under calls", lasts: spell, ...ordered("http", "reset 8") },
  { name: "HTTP: frozen", lasts: pause, ...frozen("http") },
  // Longer than the ten seconds of `healthInterval`.
  { name: "HTTP: frozen for long", lasts: [13_000, 15_000], ...frozen("http") },
  { name: "HTTP: answers 503", lasts: spell, ...ordered("http", "status 503") },
  { name: "HTTP: answers 429", lasts: spell, ...ordered("http", "status 429 1") },
  { name: "HTTP: event streams end without the answer", lasts: [300, 1500], ...ordered("http", "cut") },
  { name: "WebSocket: cut under a call", lasts: [300, 1500], ...ordered("websocket", "cut") },
  { name: "WebSocket: killed, started again", lasts: brief, ...restarted("websocket") },
  { name: "WebSocket: frozen", lasts: pause, ...frozen("websocket") },
  { name: "primary: killed, started again", lasts: pause, ...restarted("primary") },
  { name: "primary: answers 503 with Retry-After", lasts: spell, ...ordered("primary", "status 503 1") },
  { name: "secondary: all sessions forgotten", lasts: once, ...ordered("secondary", "forget") }
]

/** Makes servers fail for a time, at most one fault at each, and completes when the last fault is over. */
export const inflict = Effect.fnUntraced(function*(options: {
  readonly servers: Servers
  readonly record: Record
  /** From one fault to the next, in milliseconds. */
  readonly every: number
  /** In milliseconds. */
  readonly during: number
}) {
  const { during, every, record, servers } = options
  const until = performance.now() + during
  const busy = new Set<string>()
  const running: Array<Fiber.Fiber<void>> = []
  const queue: Array<Fault> = []
  while (performance.now() + every < until) {
    yield* Effect.sleep(every)
    if (queue.length < faults.length) queue.push(...yield* Random.shuffle(faults))
    // The next fault whose server has none, if it ends in time.
    for (const [place, { begin, end, lasts, name, to }] of queue.entries()) {
      const millis = yield* Random.nextBetween(...lasts)
      if (busy.has(to) || performance.now() + millis > until - 500) continue
      queue.splice(place, 1)
      busy.add(to)
      const occur = Effect.gen(function*() {
        const over = record.fault(name, targetsOf[to])
        yield* Effect.promise(async () => begin(servers))
        yield* Effect.sleep(millis)
        yield* Effect.promise(async () => end?.(servers))
        over()
        busy.delete(to)
      })
      running.push(yield* Effect.forkChild(occur, { startImmediately: true }))
      break
    }
  }
  yield* Fiber.awaitAll(running)
  yield* Effect.sleep(Math.max(0, until - performance.now()))
})

/** Makes all servers refuse everything, each in its own way. */
export const failAll = ({ programs, setStdioDown, signalStdio }: Servers): Effect.Effect<void> =>
  Effect.promise(async () => {
    setStdioDown(true)
    signalStdio("SIGKILL")
    await Promise.all([
      programs.http.order("status 503"),
      programs.websocket.order("status 503"),
      programs.primary.order("status 503 1"),
      programs.secondary.order("refuse")
    ])
  })

export const healAll = ({ programs, setStdioDown }: Servers): Effect.Effect<void> =>
  Effect.promise(async () => {
    setStdioDown(false)
    await Promise.all(Object.values(programs).map((program) => program.order("well")))
  })
