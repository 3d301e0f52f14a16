/**
 * Options of a pool: fills in the defaults, and fails with all problems at once.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Span } from "effect/Tracer"
import type { ConfigError } from "../../ConfigError.ts"
import { decodeOptions } from "../config/checkOptions.ts"
import { failWith } from "../config/failWith.ts"
import { durationInput, expecting, expectingDuration, member, wholeNumber } from "../config/values.ts"

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

const count = ({ default: value, minimum }: { readonly minimum: number; readonly default: number }) =>
  wholeNumber({ minimum, maximum: 10_000 }).pipe(Schema.withDecodingDefault(Effect.succeed(value)))

const time = ({ default: value, ...bounds }: Parameters<typeof durationInput>[0] & { readonly default: string }) =>
  durationInput(bounds).pipe(Schema.withDecodingDefault(Effect.succeed(value)))

const isOnLeak = (value: unknown): value is OnLeak => Predicate.isFunction(value)

const Options = Schema.Struct({
  server: member(Schema.String.annotate(expecting("the name of a server"))),
  owner: Schema.optional(Schema.String.annotate(expecting("a string"))),
  onLeak: Schema.optional(Schema.declare(isOnLeak).annotate(expecting("a function"))),
  max: count({ minimum: 1, default: 10 }),
  min: count({ minimum: 0, default: 0 }),
  concurrency: count({ minimum: 1, default: 1 }),
  acquireTimeout: time({ minimum: 1, maximum: "1 hour", default: "5 seconds" }),
  idleTimeToLive: time({ minimum: 0, maximum: "24 hours", default: "5 minutes" }),
  maxLifetime: time({ minimum: 0, maximum: "30 days", default: "30 minutes" }),
  validateAfter: time({ minimum: 0, maximum: "24 hours", default: "30 seconds" }),
  leakAfter: time({ minimum: 0, maximum: "30 days", default: "1 hour" })
}).check(
  Schema.makeFilter(
    ({ max, min }) => min <= max ? undefined : { path: ["min"], issue: "above max" },
    expecting("at most max")
  ),
  Schema.makeFilter(
    ({ idleTimeToLive, maxLifetime }) =>
      Duration.isZero(maxLifetime) || Duration.isLessThanOrEqualTo(idleTimeToLive, maxLifetime)
        ? undefined
        : { path: ["idleTimeToLive"], issue: "above maxLifetime" },
    expectingDuration("a duration of at most maxLifetime")
  )
)

const logLeak: OnLeak = ({ heldFor, owner, server, span }) => {
  const taken = span === undefined ? "" : `; it was taken in span ${span.name} (${span.traceId}-${span.spanId})`
  return Effect.logWarning(`a session of ${server} has been leased to ${owner} for ${heldFor} ms${taken}`)
}

/** Fills in the defaults, or fails with all problems. `exists` fails for an unknown server. */
export const checkPoolOptions = ({ exists, options }: {
  readonly options: Given
  readonly exists: (server: string) => Effect.Effect<unknown, ConfigError>
}): Effect.Effect<PoolOptions, ConfigError> =>
  Effect.gen(function*() {
    const server = Predicate.isObject(options) && Predicate.isString(options.server) ? options.server : undefined
    const decoded = decodeOptions({ schema: Options, value: options, path: ["pool"], server })
    const known = server === undefined ? Result.void : yield* Effect.result(exists(server))
    if (Result.isFailure(decoded)) {
      return yield* failWith([...decoded.failure, ...(Result.isFailure(known) ? known.failure.problems : [])])
    }
    yield* Effect.fromResult(known)
    const { acquireTimeout, idleTimeToLive, leakAfter, maxLifetime, onLeak, owner, validateAfter, ...others } =
      decoded.success
    return {
      ...others,
      owner: owner ?? "default",
      acquireMillis: Duration.toMillis(acquireTimeout),
      idleMillis: Duration.toMillis(idleTimeToLive),
      lifeMillis: Duration.toMillis(maxLifetime),
      validateMillis: Duration.toMillis(validateAfter),
      leakMillis: Duration.toMillis(leakAfter),
      onLeak: onLeak ?? logLeak
    }
  })
