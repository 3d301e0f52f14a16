/**
 * One run of the command line: its environment, working directory and streams.
 *
 * Commands reach the process that called them only through this service, so the same commands run in a process of their own, in a
 * test, and for a client of a socket.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { processInvocation } from "./internal/processInvocation.ts"

/**
 * A stream that text or bytes are written to.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutputStream {
  readonly isTerminal: boolean
  /** Whether the terminal shows colours, and the user wants them. */
  readonly hasColours: boolean
  /** Returns the current width of the terminal in characters, 80 for any other stream. */
  readonly columns: () => number
  /** Returns the current height of the terminal in lines, 24 for any other stream. */
  readonly rows: () => number
  /** Succeeds when the terminal has another size, or shows the program again after it was stopped. Never for any other stream. */
  readonly resized: Effect.Effect<void>
  /**
   * Writes `enter`, which changes modes of the terminal, and `leave` when the scope closes; also if the process ends without closing the scope.
   */
  readonly withModes: (options: {
    readonly enter: string
    readonly leave: string
  }) => Effect.Effect<void, never, Scope.Scope>
  /** Writes text or bytes and waits until they are written. Succeeds with the error code of the system if that fails. */
  readonly write: (data: string | Uint8Array) => Effect.Effect<string | undefined>
}

/**
 * The stream that text is read from.
 *
 * @category models
 * @since 0.1.0
 */
export interface InputStream {
  readonly isTerminal: boolean
  /** Reads the stream to its end. Fails with a sentence above `limit` bytes. */
  readonly readAll: (limit: number) => Effect.Effect<string, string>
  /**
   * Reads one line at a terminal, after a prompt on stderr; `undefined` is the end of the input. `isHidden` does not show what is typed.
   * Interruption gives the terminal back.
   */
  readonly readLine: (options: {
    readonly prompt: string
    readonly isHidden?: boolean | undefined
  }) => Effect.Effect<string | undefined>
}

/**
 * Service that gives a command the environment, the working directory and the streams of its caller.
 *
 * @category services
 * @since 0.1.0
 */
export class Invocation extends Context.Service<Invocation, {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The working directory, as an absolute path. */
  readonly directory: string
  readonly stdin: InputStream
  readonly stdout: OutputStream
  readonly stderr: OutputStream
}>()("@mcp-sessions/cli/Invocation") {}

/**
 * Layer of the environment, the working directory and the streams of this process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Invocation> = Layer.sync(Invocation, processInvocation)
