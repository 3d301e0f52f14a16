/**
 * `check --watch`: shows servers until the command is interrupted.
 */
import { unknown, watch, type WatchedServer } from "@mcp-sessions/core/HealthWatch"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as HealthTable from "../HealthTable.ts"
import { Invocation } from "../Invocation.ts"
import * as LiveScreen from "../LiveScreen.ts"
import { Output } from "../Output.ts"

interface Options {
  readonly servers: ReadonlyArray<string>
  readonly interval: Duration.Duration
}

/** The shortest time between two frames. */
const frameTime = Duration.millis(50)

/** Shows a table in place. The last one stays on the first screen. */
const watchLive = Effect.fnUntraced(function*({ interval, servers }: Options) {
  const { print, style } = yield* Output
  const { stdout } = yield* Invocation
  let rows: ReadonlyArray<WatchedServer> = servers.map(unknown)
  const changed = yield* Queue.sliding<void>(1)
  const show = Queue.offer(changed, undefined)
  const table = (height: number) =>
    HealthTable.lines({ rows, interval: Duration.format(interval), width: stdout.columns(), height, style })
  const frames = Effect.gen(function*() {
    const screen = yield* LiveScreen.make(stdout)
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(stdout.resized, show)))
    yield* show
    return yield* Queue.take(changed).pipe(
      Effect.andThen(Effect.suspend(() => screen.draw(table(stdout.rows())))),
      Effect.andThen(Effect.sleep(frameTime)),
      Effect.forever
    )
  }).pipe(Effect.scoped)
  const watching = watch({
    servers,
    interval,
    onChange: (change) => {
      rows = change.rows
      return Effect.asVoid(show)
    }
  })
  return yield* Effect.raceFirst(frames, watching).pipe(
    Effect.onExit(() =>
      // The reader may be gone, which is no reason to fail again.
      Effect.ignore(Effect.suspend(() => Effect.forEach(table(Number.POSITIVE_INFINITY), print, { discard: true })))
    )
  )
})

/** Prints a line for each change, or a JSON document on a line. */
const watchLines = Effect.fnUntraced(function*({ interval, json, servers }: Options & { readonly json: boolean }) {
  const { print, printJsonLine } = yield* Output
  return yield* watch({
    servers,
    interval,
    onChange: (change) =>
      HealthTable.isNotable(change)
        ? Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const { row } = change
          return json ? printJsonLine(HealthTable.toJson({ row, now })) : print(HealthTable.changeLine({ row, now }))
        })
        : Effect.void
  })
})

/** Watches servers until the command is interrupted: as a table at a terminal, else as a line for each change. */
export const watchHealth = Effect.fnUntraced(function*(options: Options & { readonly json: boolean }) {
  const { stdout } = yield* Invocation
  return yield* stdout.isTerminal && !options.json ? watchLive(options) : watchLines(options)
})
