/**
 * Transports that record conversations with real servers to a file, and transports that replay them.
 *
 * Recording does not change a program. A replay reaches no server: the recorded events follow in the recorded order, without delay. So a
 * test runs without network and processes, fast and deterministic. To switch, swap one layer for the other.
 *
 * **Details**
 *
 * The file has one line of JSON for each event: connects, calls and their outcomes, notifications, requests of servers to the client's
 * handlers, and lost connections. It is readable, and may be edited. Secrets of the definitions (headers and environment, except plain
 * words under names that do not indicate a secret) are replaced in it; a replay accepts any text in their place.
 *
 * Calls are recognized by method and params. A call that is not in the recording is a mistake of the program or of the recording, hence a
 * defect: `ReplayMismatch` names the expected calls. A program that omits calls receives the rest of the conversation once it waits for
 * a later event.
 *
 * **Gotchas**
 *
 * Secrets that are not in the definitions, such as those in the result of a tool, are in the file. Name them in `secrets`.
 *
 * **Example** (Recording, then replaying)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Recorded } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const program = Effect.flatMap(
 *   Sessions.Sessions,
 *   (sessions) => sessions.callTool("everything", "echo", { message: "hi" })
 * )
 * const sessions = Sessions.layer({
 *   servers: { everything: { transport: "stdio", command: "mcp-server-everything", args: ["stdio"] } }
 * })
 * const file = join(tmpdir(), `echo-${process.pid}.jsonl`)
 *
 * const live = Layer.provide(sessions, Recorded.record(file))
 * const first = await Effect.runPromise(Effect.provide(program, live))
 *
 * const test = Layer.provide(sessions, Recorded.replay(file))
 * const again = await Effect.runPromise(Effect.provide(program, test))
 * again // => first
 * ```
 *
 * @since 0.1.0
 */
import type { Connection } from "@mcp-sessions/core/Connection"
import type { ConnectReason } from "@mcp-sessions/core/SessionError"
import { Transport, Transports } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { connect as recordConnection } from "./internal/recording/recorder.ts"
import { decodeEvent, decodeHeader, encodeEvent, type Event, header } from "./internal/recording/recording.ts"
import * as RecordingFile from "./internal/recording/recordingFile.ts"
import { connect as replayConnection, ReplayMismatch } from "./internal/recording/replayer.ts"
import * as Redactor from "./internal/redactor.ts"
import { secretsOf } from "./internal/secrets.ts"
import * as AllTransports from "./Transports.ts"

export {
  /**
   * The program deviated from the recording. Names the server, the connection, the deviation (`actual`) and the possible calls
   * (`expected`).
   *
   * @category errors
   * @since 0.1.0
   */
  ReplayMismatch
}

/**
 * A recording cannot be written or read: the file system fails, or a line of the file is not an event of a recording.
 *
 * @category errors
 * @since 0.1.0
 */
export class RecordingError
  extends Schema.TaggedError<RecordingError>("@mcp-sessions/transports/RecordingError")("RecordingError", {
    file: Schema.String,
    /** The number of the line, from 1. */
    line: Schema.optional(Schema.Finite),
    description: Schema.String,
    cause: Schema.optional(Schema.Defect())
  })
{
  override get message(): string {
    return `${this.file}${this.line === undefined ? "" : `, line ${this.line}`}: ${this.description}`
  }
}

/**
 * Layer that provides `transports` and records their connections. Creates the file, or overwrites it.
 *
 * {@link record} is a shorthand for all transports of this package. `secrets` are kept out of the file in addition to those of the
 * definitions.
 *
 * @category layers
 * @since 0.1.0
 */
export const recordWith = (options: {
  readonly file: string
  readonly transports: Layer.Layer<Transports>
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
}): Layer.Layer<Transports, RecordingError> =>
  Layer.effect(
    Transports,
    Effect.gen(function*() {
      const { file } = options
      const inner = yield* Transports
      const print = yield* RecordingFile.open({
        file,
        onError: (cause) => new RecordingError({ file, description: "it cannot be written", cause })
      })
      print(header)
      const others = (options.secrets ?? []).map(Redacted.value)
      let connections = 0
      return {
        transport: (definition) => {
          const redact = Redactor.make(() => [...others, ...secretsOf(definition.config)])
          const write = (event: Event) => print(encodeEvent({ event, redact }))
          const recorded = Effect.map(Transport, (transport) => ({
            ...transport,
            connect: Effect.suspend(() =>
              recordConnection({ transport, server: definition.name, connection: ++connections, write })
            )
          }))
          return Layer.effect(Transport, recorded).pipe(Layer.provide(inner.transport(definition)))
        }
      }
    })
  ).pipe(Layer.provide(options.transports))

/**
 * Layer that provides the transports of this package and records their connections.
 *
 * @category layers
 * @since 0.1.0
 */
export const record = (file: string): Layer.Layer<Transports, RecordingError> =>
  recordWith({ file, transports: AllTransports.layer })

/** A connect of the recording: its failure, or the events of its connection. */
type Connect =
  | { readonly connection: number; readonly failure: ConnectReason }
  | { readonly connection: number; readonly kind: Connection["kind"]; readonly events: ReadonlyArray<Event> }

const readEvents = Effect.fnUntraced(function*(file: string): Effect.fn.Return<ReadonlyArray<Event>, RecordingError> {
  const [first = "", ...lines] = yield* RecordingFile.readLines({
    file,
    onError: (cause) => new RecordingError({ file, description: "it cannot be read", cause })
  })
  const description = "it is not a line of a recording"
  yield* Effect.mapError(decodeHeader(first), (cause) => new RecordingError({ file, line: 1, description, cause }))
  const numbered = lines.map((line, index) => ({ line, number: index + 2 })).filter(({ line }) => line.trim() !== "")
  return yield* Effect.forEach(
    numbered,
    ({ line, number }) =>
      Effect.mapError(decodeEvent(line), (cause) => new RecordingError({ file, line: number, description, cause }))
  )
})

/**
 * Reads the names of the servers of a recording, in the order of their first connects.
 *
 * @category getters
 * @since 0.1.0
 */
export const servers = (file: string): Effect.Effect<ReadonlyArray<string>, RecordingError> =>
  Effect.map(readEvents(file), (events) => [
    ...new Set(events.flatMap((event) => "server" in event ? [event.server] : []))
  ])

/** Returns the connects of a server, in the order in which they began. */
const connectsOf = (events: ReadonlyArray<Event>, server: string): ReadonlyArray<Connect> =>
  events.flatMap((event): ReadonlyArray<Connect> => {
    if (event.event === "connect-failure" && event.server === server) {
      return [{ connection: event.connection, failure: event.reason }]
    }
    if (event.event !== "connect" || event.server !== server) return []
    const { connection, kind } = event
    return [{
      connection,
      kind: kind as Connection["kind"],
      events: events.filter((event) => event.connection === connection)
    }]
  }).toSorted((left, right) => left.connection - right.connection)

/**
 * Layer that replays a recording in place of every transport. Building it reads the file. Servers are recognized by their names; the rest
 * of their definitions does not matter.
 *
 * @category layers
 * @since 0.1.0
 */
export const replay = (file: string): Layer.Layer<Transports, RecordingError> =>
  Layer.effect(
    Transports,
    Effect.map(readEvents(file), (events) => {
      const left = new Map<string, Array<Connect>>()
      return {
        transport: ({ name: server }) => {
          const connects = left.get(server) ?? [...connectsOf(events, server)]
          left.set(server, connects)
          return Layer.succeed(Transport, {
            connect: Effect.suspend(() => {
              const next = connects.shift()
              if (next === undefined) {
                return Effect.die(
                  new ReplayMismatch({ server, connection: 0, actual: "one more connect", expected: [] })
                )
              }
              return "failure" in next ? Effect.fail(next.failure) : replayConnection({ server, ...next })
            })
          })
        }
      }
    })
  )
