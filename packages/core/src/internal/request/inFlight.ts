/**
 * Time limits for many short operations at the price of one sleeping fiber.
 *
 * `Effect.timeout` races two fibers and sets a timer for each use, which costs more than the rest of a call does. Here an
 * operation enters its deadline in a set, and a single sleeper wakes at the earliest of them. It sleeps by the `Clock`, so
 * tests can turn it.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { Bag, type InBag } from "./bag.ts"

interface Entry extends InBag {
  expiresAt: number
  readonly expire: () => void
}

export interface Deadlines {
  /**
   * Runs an operation. If it takes longer than `millis`, interrupts it and fails with `onTimeout` instead. It may start its
   * time anew with `restart`, up to the time `latest`.
   */
  readonly within: <A, E, E2>(options: Limited<A, E, E2>) => Effect.Effect<A, E | E2>
}

interface Limited<A, E, E2> {
  readonly operation: (restart: () => void) => Effect.Effect<A, E>
  readonly millis: number
  readonly latest: number
  readonly onTimeout: (isLatest: boolean) => E2
}

/** Makes deadlines that end with the scope. */
export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const entries = new Bag<Entry>()
  let wakesAt = Number.POSITIVE_INFINITY
  let sleeper: Fiber.Fiber<void> | undefined

  const sleepUntilNone: Effect.Effect<void> = Effect.suspend(() => {
    wakesAt = Number.POSITIVE_INFINITY
    for (const { expiresAt } of entries.all()) wakesAt = Math.min(wakesAt, expiresAt)
    if (wakesAt === Number.POSITIVE_INFINITY) return Effect.void
    return clock.sleep(Duration.millis(Math.max(0, wakesAt - clock.currentTimeMillisUnsafe()))).pipe(
      Effect.andThen(Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        for (const entry of entries.all()) {
          if (entry.expiresAt <= now) entry.expire()
        }
      })),
      Effect.andThen(sleepUntilNone)
    )
  })

  const add = (entry: Entry): void => {
    entries.add(entry)
    // The usual deadline is later than all before it, and the sleeper will find it when it wakes.
    if (entry.expiresAt >= wakesAt) return
    sleeper?.interruptUnsafe()
    sleeper = Fiber.runIn(fork(sleepUntilNone), scope)
  }

  return {
    within: <A, E, E2>({ latest, millis, onTimeout, operation }: Limited<A, E, E2>) =>
      Effect.withFiber((parent) =>
        Effect.callback<A, E | E2>((resume) => {
          const expiry = () => Math.min(clock.currentTimeMillisUnsafe() + millis, latest)
          const restart = () => {
            entry.expiresAt = expiry()
          }
          const entry: Entry = {
            place: -1,
            expiresAt: expiry(),
            expire: () => {
              entries.remove(entry)
              resume(Effect.fail(onTimeout(entry.expiresAt === latest)))
              fiber.interruptUnsafe()
            }
          }
          const fiber = Effect.runForkWith(parent.context)(operation(restart))
          add(entry)
          fiber.addObserver((exit) => {
            entries.remove(entry)
            resume(exit)
          })
          return Effect.suspend(() => Fiber.interrupt(fiber))
        })
      )
  }
})
