/**
 * Recordings of what commands say to servers: written while a command runs, or replayed in place of its servers.
 *
 * @since 0.1.0
 */
import { Authorization } from "@mcp-sessions/core/Authorization"
import { Transports } from "@mcp-sessions/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import { UsageError } from "./Failure.ts"
import { Invocation } from "./Invocation.ts"

/**
 * The recording of a command, and whether it is written or replayed. `file` is an absolute path.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recording {
  readonly mode: "record" | "replay"
  readonly file: string
}

/**
 * Reference to the recording of the command that runs. Default: none.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentRecording: Context.Reference<Recording | undefined> = Context.Reference<Recording | undefined>(
  "@mcp-sessions/cli/Recording/CurrentRecording",
  { defaultValue: () => undefined }
)

/** Only commands that record or replay load the module. */
const recorded = Effect.promise(() => import("@mcp-sessions/transports/Recorded"))

const toUsageError = ({ message }: { readonly message: string }): UsageError => new UsageError({ problems: [message] })

/**
 * Resolves the path of a recording from the working directory.
 *
 * @category getters
 * @since 0.1.0
 */
export const fileOf = (file: string): Effect.Effect<string, never, Path.Path | Invocation> =>
  Effect.map(Effect.all([Path.Path, Invocation]), ([path, { directory }]) => path.resolve(directory, file))

/**
 * Reads the names of the servers of a recording.
 *
 * @category getters
 * @since 0.1.0
 */
export const serversOf = ({ file }: Recording): Effect.Effect<ReadonlyArray<string>, UsageError> =>
  Effect.flatMap(recorded, ({ servers }) => Effect.mapError(servers(file), toUsageError))

/**
 * Records the connections of transports, or replaces them by the recording. Without a recording, they are used as they are.
 *
 * @category layers
 * @since 0.1.0
 */
export const withRecording = <R>(
  transports: Layer.Layer<Transports | Authorization, never, R>
): Layer.Layer<Transports | Authorization, UsageError, R> =>
  Layer.unwrap(Effect.gen(function*() {
    const recording = yield* CurrentRecording
    if (recording === undefined) return transports
    const { file, mode } = recording
    const { recordWith, replay } = yield* recorded
    const context = yield* Effect.context<R>()
    const inner = Layer.provide(transports, Layer.succeedContext(context))
    const replaced = mode === "record" ? recordWith({ file, transports: inner }) : replay(file)
    return Layer.merge(
      Layer.effect(Authorization, Authorization).pipe(Layer.provide(inner)),
      Layer.catch(replaced, (error) => Layer.effect(Transports, Effect.fail(toUsageError(error))))
    )
  }))
