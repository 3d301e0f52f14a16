/**
 * Options of a pool: fills in the defaults, and fails with all problems at once.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Span } from "effect/Tracer"
import { type ConfigError, InvalidDuration, InvalidValue } from "../../ConfigError.ts"
import { Checks } from "../config/optionChecks.ts"

/** A report of a lease that is held for too long, as in `LeakReport`. */
interface Leak {
  readonly server: string
  readonly owner: string
  readonly heldFor: number
  readonly span: Span | undefined
}

type OnLeak = (report: Leak) => Effect.Effect<void>

type CountKey = "concurrency" | "max" | "min"

type DurationKey = "acquireTimeout" | "idleTimeToLive" | "leakAfter" | "maxLifetime" | "validateAfter"

/** Options as in `SessionPoolOptions`. */
type Given =
  & { readonly server: string; readonly owner?: string | undefined; readonly onLeak?: OnLeak | undefined }
  & { readonly [K in CountKey]?: number | undefined }
  & { readonly [K in DurationKey]?: Duration.Input | undefined }

/** Options with their defaults, durations in milliseconds. */
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
  readonly onLeak: OnLeak
}

const day = 24 * 60 * 60 * 1000

const logLeak: OnLeak = ({ heldFor, owner, server, span }) => {
  const taken = span === undefined ? "" : `; it was taken in span ${span.name} (${span.traceId}-${span.spanId})`
  return Effect.logWarning(`a session of ${server} has been leased to ${owner} for ${heldFor} ms${taken}`)
}

/** Fills in the defaults, or fails with all problems. `exists` fails for an unknown server. */
export const checkPoolOptions = ({ exists, options }: {
  readonly options: Given
  readonly exists: Effect.Effect<unknown, ConfigError>
}): Effect.Effect<PoolOptions, ConfigError> =>
  Effect.gen(function*() {
    const { server } = options
    const checks = new Checks(server)

    const whole = (key: CountKey, fallback: number, [from, to]: readonly [number, number]) => {
      const value = options[key] ?? fallback
      checks.whole(value, { path: ["pool", key], from, to })
      return value
    }

    const millis = (key: DurationKey, fallback: Duration.Input, [from, to]: readonly [number, number]) =>
      checks.millis(options[key] ?? fallback, { path: ["pool", key], from, to })

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
    const known = yield* Effect.result(exists)
    if (known._tag === "Failure") known.failure.problems.forEach((problem) => checks.add(problem))
    return yield* Effect.as(checks.done, checked)
  })
