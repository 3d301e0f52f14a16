/**
 * The options of a pool, checked: all that is wrong with them at once.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Span } from "effect/Tracer"
import { ConfigError, type ConfigProblem, InvalidDuration, InvalidValue } from "../ConfigError.ts"
import type { LeakReport, SessionPoolOptions } from "../SessionPool.ts"
import { Sessions } from "../Sessions.ts"

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
    const problems: Array<ConfigProblem> = []
    const at = (key: string) => ({ source: undefined, server, path: ["pool", key] })

    const whole = (key: "concurrency" | "max" | "min", fallback: number, [from, to]: readonly [number, number]) => {
      const value = options[key] ?? fallback
      if (Number.isInteger(value) && value >= from && value <= to) return value
      problems.push(new InvalidValue({ ...at(key), expected: `a whole number from ${from} to ${to}` }))
      return fallback
    }

    const millis = (
      key: "acquireTimeout" | "idleTimeToLive" | "leakAfter" | "maxLifetime" | "validateAfter",
      fallback: Duration.Input,
      [from, to]: readonly [number, number]
    ) => {
      const value = Option.getOrUndefined(Option.map(Duration.fromInput(options[key] ?? fallback), Duration.toMillis))
      if (value !== undefined && value >= from && value <= to) return value
      const expected = `between ${Duration.format(Duration.millis(from))} and ${Duration.format(Duration.millis(to))}`
      problems.push(new InvalidDuration({ ...at(key), expected }))
      return from
    }

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
    if (problems.length === 0 && min > max) {
      problems.push(new InvalidValue({ ...at("min"), expected: `at most max, which is ${max}` }))
    }
    if (problems.length === 0 && lifeMillis > 0 && idleMillis > lifeMillis) {
      problems.push(new InvalidDuration({ ...at("idleTimeToLive"), expected: "at most maxLifetime" }))
    }
    // Whether there is such a server. It connects nothing.
    const known = yield* Effect.result(Effect.flatMap(Sessions, ({ circuit }) => circuit(server)))
    if (known._tag === "Failure") problems.push(...known.failure.problems)
    const [first, ...rest] = problems
    return first === undefined ? checked : yield* new ConfigError({ problems: [first, ...rest] })
  })
