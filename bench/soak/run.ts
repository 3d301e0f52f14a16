/**
 * The run: faults under load, an outage of everything, some time after it, and a look at what is left once the scope has closed.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as faults from "./faults.ts"
import * as load from "./load.ts"
import { type Options, randomOf } from "./options.ts"
import * as Servers from "./Servers.ts"
import { Tally, targets } from "./Tally.ts"
import * as Vitals from "./Vitals.ts"

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
const lookForLeftovers = ({ programs, stdioPids }: Servers.Servers) => {
  const look = Effect.promise(async () => {
    const counts = await Promise.all(
      programs.map(async ([name, program]) => [name, await program.order("count")] as const)
    )
    const sum = (what: string) => counts.reduce((sum, [, count]) => sum + (count[what] ?? 0), 0)
    const [children, sockets] = [Vitals.children() - programs.length, Vitals.sockets()]
    return {
      leftovers: [
        ...stdioPids().filter(Servers.isAlive).map((pid) => `process ${pid} of stdio is alive`),
        // A server that crashed would report no sockets and no sessions.
        ...programs.flatMap(([name, { isGone }]) => isGone ? [`${name} is gone`] : []),
        ...(children > 0 ? [`${children} child processes`] : []),
        ...(sockets > 0 ? [`${sockets} sockets of the client`] : []),
        ...counts.flatMap(([name, count]) =>
          ["sockets", "sessions"].filter((what) => (count[what] ?? 0) > 0).map((what) =>
            `${count[what]} ${what} at ${name}`
          )
        )
      ],
      stranded: { refused: sum("refused"), unfinished: sum("unfinished") }
    }
  })
  return Effect.gen(function*() {
    let seen = yield* look
    for (let looks = 1; looks < 50 && seen.leftovers.length > 0; looks++) {
      yield* Effect.sleep("100 millis")
      seen = yield* look
    }
    return seen
  })
}

export const run = (options: Options, progress: (line: string) => void) =>
  Effect.gen(function*() {
    const { rate, seconds, seed } = options
    const [outage, after] = [clamp(seconds / 60, 2, 10), clamp(seconds / 30, 2, 20)]
    const during = (seconds - outage - after) * 1000
    const tally = new Tally(Math.ceil(rate * (seconds + 60)))
    const closings = new Map<string, number>()
    const samples: Array<Vitals.Sample> = []
    const { seen: unhandled } = yield* unhandledErrors
    const servers = yield* Servers.start
    let reached = 0

    const live = Sessions.layer({
      servers: servers.definitions,
      onCleanup: ({ outcome, server }) =>
        Effect.sync(() => closings.set(`${server}: ${outcome}`, (closings.get(`${server}: ${outcome}`) ?? 0) + 1))
    }).pipe(Layer.provide(Transports.layer))

    const since = performance.now()
    const sampling = Effect.forever(Effect.gen(function*() {
      yield* Effect.sleep(clamp(during / 20, 400, 5000))
      const { begun, ended, failed } = tally
      const sample = Vitals.take({ since, inFlight: begun - ended })
      samples.push(sample)
      progress(
        `${(sample.at / 1000).toFixed(0)} s: ${begun} calls, ${sample.inFlight} in flight, ${failed} failed; ` +
          `${tally.faults} faults; heap ${(sample.heap / 1024 ** 2).toFixed(1)} MB, ${sample.descriptors} descriptors`
      )
    }))

    yield* Effect.gen(function*() {
      const { offer, settled } = yield* load.make({ tally, random: randomOf(seed), rate })
      const offering = yield* Effect.forkChild(offer)
      const taking = yield* Effect.forkChild(sampling)
      yield* faults.inflict({ servers, tally, random: randomOf(seed + 1), every: options.faultEvery * 1000, during })
      yield* Fiber.interrupt(taking)
      progress("everything fails")
      const before = servers.reached()
      tally.phase = "outage"
      const end = tally.fault("everything failed", targets)
      yield* faults.failAll(servers)
      yield* Effect.sleep(outage * 1000)
      tally.phase = "after"
      reached = servers.reached() - before
      progress("everything works again")
      yield* faults.healAll(servers)
      end()
      yield* Effect.sleep(after * 1000)
      yield* Fiber.interrupt(offering)
      yield* settled
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(live, logger)), Effect.orDie)

    const { leftovers, stranded } = yield* lookForLeftovers(servers)
    return {
      options,
      tally,
      samples,
      /** How often each call ran, as the servers wrote it down. */
      charges: servers.runs("charge"),
      puts: servers.runs("put"),
      /** Requests, connections and process starts that reached servers while everything failed. */
      reached,
      processes: servers.stdioPids().length,
      closings,
      unhandled,
      leftovers,
      /** Sessions that the servers keep and the client cannot end. */
      stranded
    }
  }).pipe(Effect.scoped)

export type Findings = Effect.Success<ReturnType<typeof run>>
