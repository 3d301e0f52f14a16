/**
 * The options of a pool, checked: all that is wrong with them at once.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Span } from "effect/Tracer"
import { type ConfigError, InvalidDuration, InvalidValue } from "../../ConfigError.ts"
import type { LeakReport, SessionPoolOptions } from "../../SessionPool.ts"
import { Sessions } from "../../Sessions.ts"
import { Checks } from "../config/optionChecks.ts"

/** Options with their defaults, times in milliseconds. */
export interface PoolOptions {
  readonly server: string
  readonly owner: string
  readonly max: number
  readonly min: number
  readonly concurrency: number
  readonly acquireMillis: number
  readonly idleMillis: number
  readonly lifeMillis: number
  readonly validateMillis: number
  readonly leakMillis: number
  readonly onLeak: (report: LeakReport) => Effect.Effect<void>
}

const day = 24 * 60 * 60 * 1000

const describe = (span: Span | undefined): string =>
  span === undefined ? "" : `, taken in the span ${span.name} (${span.traceId}-${span.spanId})`

const logLeak = ({ heldFor, owner, server, span }: LeakReport): Effect.Effect<void> =>
  Effect.logWarning(`a session of ${server} has been lent to ${owner} for ${heldFor} ms${describe(span)}`)

/** Fills in the defaults, or fails with all problems. */
export const checkPoolOptions = (options: SessionPoolOptions): Effect.Effect<PoolOptions, ConfigError, Sessions> =>
  Effect.gen(function*() {
    const { server } = options
    const checks = new Checks(server)

    const whole = (key: "concurrency" | "max" | "min", fallback: number, [from, to]: readonly [number, number]) => {
      const value = options[key] ?? fallback
      checks.whole(value, { path: ["pool", key], from, to })
      return value
    }

    const millis = (
      key: "acquireTimeout" | "idleTimeToLive" | "leakAfter" | "maxLifetime" | "validateAfter",
      fallback: Duration.Input,
      [from, to]: readonly [number, number]
    ) => checks.millis(options[key] ?? fallback, { path: ["pool", key], from, to })

    const checked: PoolOptions = {
      server,
      owner: options.owner ?? "default",
      max: whole("max", 10, [1, 10_000]),
      min: whole("min", 0, [0, 10_000]),
      concurrency: whole("concurrency", 1, [1, 10_000]),
      acquireMillis: millis("acquireTimeout", "5 seconds", [1, day / 24]),
      idleMillis: millis("idleTimeToLive", "5 minutes", [0, day]),
      lifeMillis: millis("maxLifetime", "30 minutes", [0, 30 * day]),
      validateMillis: millis("validateAfter", "30 seconds", [0, day]),
      leakMillis: millis("leakAfter", "1 hour", [0, 30 * day]),
      onLeak: options.onLeak ?? logLeak
    }
    const { idleMillis, lifeMillis, max, min } = checked
    if (checks.isGood && min > max) {
      checks.add(new InvalidValue({ ...checks.at(["pool", "min"]), expected: `at most max, which is ${max}` }))
    }
    if (checks.isGood && lifeMillis > 0 && idleMillis > lifeMillis) {
      checks.add(new InvalidDuration({ ...checks.at(["pool", "idleTimeToLive"]), expected: "at most maxLifetime" }))
    }
    // Whether there is such a server. It connects nothing.
    const known = yield* Effect.result(Effect.flatMap(Sessions, ({ circuit }) => circuit(server)))
    if (known._tag === "Failure") known.failure.problems.forEach((problem) => checks.add(problem))
    return yield* Effect.as(checks.done, checked)
  })
