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
import { join } from "node:path"
import { inspect } from "node:util"
import * as faults from "./faults.ts"
import * as gatewayLoad from "./gatewayLoad.ts"
import * as load from "./load.ts"
import { Record, targets } from "./record.ts"
import * as Servers from "./servers.ts"
import * as Vitals from "./vitals.ts"

export interface Options {
  /** The time of all phases together, in seconds. */
  readonly seconds: number
  /** Calls per second. */
  readonly rate: number
  /** Seconds from one fault to the next. */
  readonly faultEvery: number
  /** Decides the order of calls and faults. */
  readonly seed: number
  /** Whether clients of a gateway make the calls. */
  readonly isThroughGateway: boolean
}

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))

/** Logs go to stderr; stdout holds the report. */
const logger = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

/** Looks for processes, sockets and sessions until none is left or five seconds are over. */
const lookForLeftovers = Effect.fnUntraced(function*({ programs, stdioPids }: Servers.Servers) {
  const all = Object.entries(programs)
  const look = Effect.promise(async () => {
    const left = stdioPids().map((pid) => `process ${pid} of stdio`)
    for (const [name, program] of all) {
      // A server that crashed would report no sockets and no sessions.
      const counts = program.isGone ? { crash: 1 } : await program.order("count")
      for (const [what, count] of Object.entries(counts)) if (count > 0) left.push(`${count} ${what} at ${name}`)
    }
    const [children, sockets] = [Vitals.count("ProcessWrap") - all.length, Vitals.count("TCPSocketWrap")]
    if (children > 0 || sockets > 0) left.push(`${children} child processes and ${sockets} sockets of the client`)
    return left
  })
  let left = yield* look
  for (let looks = 1; looks < 50 && left.length > 0; looks++) {
    yield* Effect.sleep("100 millis")
    left = yield* look
  }
  return left
})

export const run = Effect.fnUntraced(function*(options: Options, progress: (line: string) => void) {
  const { faultEvery, isThroughGateway, rate, seconds, seed } = options
  const [outage, after] = [clamp(seconds / 60, 2, 10), clamp(seconds / 30, 2, 20)]
  const during = (seconds - outage - after) * 1000
  const samples: Array<Vitals.Sample> = []
  const servers = yield* Servers.start
  const record = new Record(join(servers.directory, "calls"))
  for (const event of ["unhandledRejection", "uncaughtException"]) {
    process.on(event, (error) => record.strays.push(inspect(error)))
  }
  let reached = 0

  const { definitions } = servers
  const sessions = isThroughGateway ? gatewayLoad.layer(definitions) : Sessions.layer({ servers: definitions })
  const live = Layer.provide(sessions, Layer.merge(Transports.layer, logger))
  const makeLoad = isThroughGateway ? gatewayLoad.make : load.make

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
    const { offer, settled } = yield* makeLoad({ record, seed, rate })
    const offering = yield* Effect.forkChild(offer)
    const taking = yield* Effect.forkChild(sampling)
    yield* Random.withSeed(
      faults.inflict({ servers, record, every: faultEvery * 1000, during }),
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
    left: yield* lookForLeftovers(servers)
  }
}, Effect.scoped)

export type Findings = Effect.Success<ReturnType<typeof run>>
