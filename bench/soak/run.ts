/**
 * The run: faults under load, an outage of everything, some time after it, and a look at what is left once the scope has closed.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import { isAlive } from "../../test/fixtures/processes.ts"
import * as faults from "./faults.ts"
import * as load from "./load.ts"
import type { Options } from "./options.ts"
import { Record, targets } from "./record.ts"
import * as Servers from "./servers.ts"
import * as Vitals from "./vitals.ts"

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))

/** Logs go to stderr; stdout holds the report. */
const logger = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

/** Rejections and exceptions that nothing handles while the scope is open. */
const unhandledErrors = Effect.acquireRelease(
  Effect.sync(() => {
    const seen: Array<string> = []
    const note = (error: unknown) =>
      void seen.push(error instanceof Error ? error.stack ?? error.message : String(error))
    process.on("unhandledRejection", note).on("uncaughtException", note)
    return { seen, note }
  }),
  ({ note }) => Effect.sync(() => process.off("unhandledRejection", note).off("uncaughtException", note))
)

/** Looks for processes, sockets and sessions until none is left or five seconds are over. */
const lookForLeftovers = Effect.fnUntraced(function*({ programs, stdioPids }: Servers.Servers) {
  const all = Object.entries(programs)
  const look = Effect.promise(async () => {
    const counts = await Promise.all(all.map(async ([name, program]) => {
      // A server that crashed would report no sockets and no sessions.
      const { sessions, sockets, stranded = 0 } = await program.order("count")
      return { name, stranded, left: { "crashed process": program.isGone ? 1 : 0, sessions, sockets } }
    }))
    const left = [
      ...stdioPids().filter(isAlive).map((pid) => `process ${pid} of stdio`),
      ...counts.flatMap(({ left, name }) =>
        Object.entries(left).flatMap(([what, count = 0]) => count > 0 ? [`${count} ${what} at ${name}`] : [])
      )
    ]
    const [children, sockets] = [Vitals.count("ProcessWrap") - all.length, Vitals.count("TCPSocketWrap")]
    if (children > 0 || sockets > 0) left.push(`${children} child processes and ${sockets} sockets of the client`)
    return { left, stranded: counts.reduce((sum, { stranded }) => sum + stranded, 0) }
  })
  let seen = yield* look
  for (let looks = 1; looks < 50 && seen.left.length > 0; looks++) {
    yield* Effect.sleep("100 millis")
    seen = yield* look
  }
  return seen
})

export const run = Effect.fnUntraced(function*(options: Options, progress: (line: string) => void) {
  const { rate, seconds, seed } = options
  const [outage, after] = [clamp(seconds / 60, 2, 10), clamp(seconds / 30, 2, 20)]
  const during = (seconds - outage - after) * 1000
  const closings = new Map<string, number>()
  const samples: Array<Vitals.Sample> = []
  const { seen: unhandled } = yield* unhandledErrors
  const servers = yield* Servers.start
  const record = new Record(servers.record)
  let reached = 0

  const live = Sessions.layer({
    servers: servers.definitions,
    onCleanup: ({ outcome }) => Effect.sync(() => void closings.set(outcome, (closings.get(outcome) ?? 0) + 1))
  }).pipe(Layer.provide(Transports.layer))

  const since = performance.now()
  const sampling = Effect.forever(Effect.gen(function*() {
    yield* Effect.sleep(clamp(during / 20, 400, 5000))
    const { begun, ended, failed } = record
    const [heap, descriptors, inFlight] = [Vitals.heap(), Vitals.descriptors(), begun - ended]
    const at = performance.now() - since
    samples.push({ at, heap, descriptors, inFlight })
    progress(
      `${(at / 1000).toFixed(0)} s: ${begun} calls, ${inFlight} in flight, ${failed} failed; ` +
        `heap ${(heap / 1024 ** 2).toFixed(1)} MB, ${descriptors} descriptors`
    )
  }))

  yield* Effect.gen(function*() {
    const { offer, settled } = yield* load.make({ record, seed, rate })
    const offering = yield* Effect.forkChild(offer)
    const taking = yield* Effect.forkChild(sampling)
    yield* Random.withSeed(
      faults.inflict({ servers, record, every: options["fault-every"] * 1000, during }),
      seed + 1
    )
    yield* Fiber.interrupt(taking)
    progress("everything fails")
    const before = servers.reached()
    record.phase = "outage"
    const end = record.fault("everything failed", targets)
    yield* faults.failAll(servers)
    yield* Effect.sleep(outage * 1000)
    record.phase = "after"
    reached = servers.reached() - before
    progress("everything works again")
    yield* faults.healAll(servers)
    end()
    yield* Effect.sleep(after * 1000)
    yield* Fiber.interrupt(offering)
    yield* settled
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(live, logger)), Effect.orDie)

  return {
    options,
    record,
    calls: record.calls(),
    samples,
    /** How often each call ran, as the servers wrote it down. */
    charges: servers.runs("charge"),
    puts: servers.runs("put"),
    /** Requests, connections and process starts that reached servers while everything failed. */
    reached,
    processes: servers.stdioPids().length,
    closings,
    unhandled,
    /** What is left, and the number of sessions that servers keep and the client cannot end. */
    ...yield* lookForLeftovers(servers)
  }
}, Effect.scoped)

export type Findings = Effect.Success<ReturnType<typeof run>>
