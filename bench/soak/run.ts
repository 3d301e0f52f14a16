/**
 * The run: faults under load, everything failing, a while after that, and what is left when the scope has closed.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { FaultLog } from "./FaultLog.ts"
import * as faults from "./faults.ts"
import { isAlive } from "./Journal.ts"
import * as load from "./load.ts"
import type { Options } from "./options.ts"
import * as random from "./random.ts"
import * as Servers from "./Servers.ts"
import { Tally, targets } from "./Tally.ts"
import * as Vitals from "./Vitals.ts"

/** All that was found out, to be judged and told. */
export interface Findings {
  readonly options: Options
  readonly phases: Phases
  readonly tally: Tally
  readonly faults: FaultLog
  readonly samples: ReadonlyArray<Vitals.Sample>
  /** How often each call ran, by the servers' own account. */
  readonly charges: ReadonlyMap<number, number>
  readonly puts: ReadonlyMap<number, number>
  /** Requests, connections and process starts that reached servers while everything failed. */
  readonly reached: number
  readonly processes: number
  /** How connections were closed: how many in each way. */
  readonly closings: ReadonlyMap<string, number>
  /** Defects that nobody awaited. */
  readonly unhandled: ReadonlyArray<string>
  readonly leftovers: ReadonlyArray<string>
  /** Sessions that the servers still have though nothing can be done about it, and why. */
  readonly stranded: { readonly refused: number; readonly unfinished: number }
}

/** How long each phase takes, in seconds. */
interface Phases {
  readonly faults: number
  readonly outage: number
  readonly after: number
}

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))

const phasesOf = ({ seconds }: Options): Phases => {
  const outage = clamp(seconds / 60, 2, 10)
  const after = clamp(seconds / 30, 2, 20)
  return { faults: seconds - outage - after, outage, after }
}

/** What the log is for is on stderr; stdout is the report's. */
const logger = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

/** What nobody awaits and nobody catches, for as long as the scope. */
const unhandled = Effect.acquireRelease(
  Effect.sync(() => {
    const seen: Array<string> = []
    const note = (error: unknown) =>
      void seen.push(error instanceof Error ? error.stack ?? error.message : String(error))
    process.on("unhandledRejection", note).on("uncaughtException", note)
    return { seen, note }
  }),
  ({ note }) => Effect.sync(() => process.off("unhandledRejection", note).off("uncaughtException", note))
)

/** Looks until nothing is left; what a kernel has still to clear away is gone by then. */
const lookAround = ({ journal, programs }: Servers.Servers) =>
  Effect.gen(function*() {
    const look = Effect.promise(async () => {
      const counts = await Promise.all(
        programs.map(async ([name, program]) => ({ name, count: await program.tell("count") }))
      )
      const sum = (what: string) => counts.reduce((sum, { count }) => sum + (count[what] ?? 0), 0)
      const alive = journal.pids("stdio").filter(isAlive).map((pid) => `process ${pid} of stdio is alive`)
      const children = Vitals.children() - programs.length
      const sockets = Vitals.sockets()
      return {
        leftovers: [
          ...alive,
          // One that fell over by itself would hide all that it was to tell.
          ...programs.flatMap(([name, { isGone }]) => isGone ? [`${name} is gone`] : []),
          ...(children > 0 ? [`${children} child processes`] : []),
          ...(sockets > 0 ? [`${sockets} sockets of the client`] : []),
          ...counts.flatMap(({ count, name }) =>
            ["sockets", "sessions"]
              .filter((what) => (count[what] ?? 0) > 0)
              .map((what) => `${count[what]} ${what} at ${name}`)
          )
        ],
        stranded: { refused: sum("refused"), unfinished: sum("unfinished") }
      }
    })
    let seen = yield* look
    for (let looks = 1; looks < 50 && seen.leftovers.length > 0; looks++) {
      yield* Effect.sleep("100 millis")
      seen = yield* look
    }
    return seen
  })

export const run = (options: Options, progress: (line: string) => void): Effect.Effect<Findings> =>
  Effect.gen(function*() {
    const phases = phasesOf(options)
    const log = new FaultLog()
    const capacity = Math.ceil(options.rate * (options.seconds + 60))
    const tally = new Tally({ capacity, faults: log })
    const closings = new Map<string, number>()
    const samples: Array<Vitals.Sample> = []
    const { seen } = yield* unhandled
    const servers = yield* Servers.start
    let reached = 0

    const live = Sessions.layer({
      servers: servers.definitions,
      onCleanup: ({ outcome, server }) =>
        Effect.sync(() => closings.set(`${server}: ${outcome}`, (closings.get(`${server}: ${outcome}`) ?? 0) + 1))
    }).pipe(Layer.provide(Transports.layer))

    const since = performance.now()
    const sampling = Effect.gen(function*() {
      const every = clamp(phases.faults * 1000 / 20, 400, 5000)
      while (true) {
        yield* Effect.sleep(every)
        const { begun, ended, failed } = tally
        const sample = Vitals.take({ since, underWay: begun - ended })
        samples.push(sample)
        progress(
          `${(sample.at / 1000).toFixed(0)} s: ${begun} calls, ${
            begun - ended
          } under way, ${failed} failed; ${log.count} faults; ` +
            `heap ${(sample.heap / 1024 ** 2).toFixed(1)} MB, ${sample.descriptors} descriptors`
        )
      }
    })

    yield* Effect.gen(function*() {
      const { offer, settled } = yield* load.make({ tally, random: random.make(options.seed), rate: options.rate })
      const offering = yield* Effect.forkChild(offer)
      const taking = yield* Effect.forkChild(sampling)
      yield* faults.inflict({
        servers,
        log,
        random: random.make(options.seed + 1),
        every: options.faultEvery * 1000,
        during: phases.faults * 1000
      })
      yield* Fiber.interrupt(taking)
      progress("everything fails")
      const before = servers.journal.reached()
      tally.phase = "outage"
      const end = log.begin({ name: "everything failed", targets })
      yield* faults.failAll(servers)
      yield* Effect.sleep(phases.outage * 1000)
      tally.phase = "after"
      reached = servers.journal.reached() - before
      progress("everything is well again")
      yield* faults.healAll(servers)
      end()
      yield* Effect.sleep(phases.after * 1000)
      yield* Fiber.interrupt(offering)
      yield* settled
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(live, logger)), Effect.orDie)

    const { leftovers, stranded } = yield* lookAround(servers)
    return {
      options,
      phases,
      tally,
      faults: log,
      samples,
      charges: servers.journal.runs("charge"),
      puts: servers.journal.runs("put"),
      reached,
      processes: servers.journal.pids("stdio").length,
      closings,
      unhandled: seen,
      leftovers,
      stranded
    }
  }).pipe(Effect.scoped)
