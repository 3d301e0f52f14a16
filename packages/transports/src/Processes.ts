/**
 * How the processes of stdio servers are started: every one goes through {@link Processes}.
 *
 * Its default starts a process of this machine, without a shell, and ends its whole group. A program wraps it (to run servers in containers) or
 * replaces it (in a test, by a server in this process) by a layer below `Transports.layer`. Nothing else about sessions changes.
 *
 * **Details**
 *
 * These stay in force whatever starts a process, because they are above it: the environment that a definition gets, the limit on starts, the
 * limits on lines and on stderr, the removal of secrets, `allowCommand`, and the delivery rule.
 *
 * These are work of the default: a process group that is ended as a whole, in three steps of 1 second, and the watchdog that ends it if this
 * process is killed. What replaces it has to end with the scope, within 5 seconds, and everything that it started with it.
 *
 * **Example** (Testing without a process)
 *
 * ```ts import.meta.vitest
 * import { Sessions } from "@mcp-sessions/core"
 * import { Processes, Transports } from "@mcp-sessions/transports"
 * import { McpServer } from "@modelcontextprotocol/server"
 * import { StdioServerTransport } from "@modelcontextprotocol/server/stdio"
 * import { Effect, Layer } from "effect"
 *
 * const weather = Processes.make(({ args, stdin, stdout }) =>
 *   Effect.callback((resume) => {
 *     const server = new McpServer({ name: "weather", version: "1" })
 *     server.registerTool("today", {}, () => ({ content: [{ type: "text", text: `sunny in ${args}` }] }))
 *     void server.connect(new StdioServerTransport(stdin, stdout))
 *     stdin.once("end", () => resume(Effect.succeed(0)))
 *   })
 * )
 *
 * const live = Sessions.layer({ servers: { weather: { command: "weather", args: ["Rome"] } } }).pipe(
 *   Layer.provide(Transports.layer),
 *   Layer.provide(Layer.succeed(Processes.Processes, weather))
 * )
 * const program = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("weather", "today"))
 * const result = await Effect.runPromise(Effect.provide(program, live))
 * result.content // => [{ type: "text", text: "sunny in Rome" }]
 * ```
 *
 * @since 0.1.0
 */
import type { SpawnFailed } from "@mcp-sessions/core/SessionError"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Scope from "effect/Scope"
import { childProcesses } from "./internal/stdio/childProcesses.ts"
import * as InProcess from "./internal/stdio/inProcess.ts"
import type { Process } from "./internal/stdio/processPort.ts"

export type {
  /**
   * A running process. The scope that started it ends it.
   *
   * @category models
   * @since 0.1.0
   */
  Process,
  /**
   * How a process ended: with an exit code, or by a signal.
   *
   * @category models
   * @since 0.1.0
   */
  ProcessExit
} from "./internal/stdio/processPort.ts"

export type {
  /**
   * What a program of {@link make} is run with: the options of a process, and the ends of the streams that are its own.
   *
   * @category models
   * @since 0.1.0
   */
  Program
} from "./internal/stdio/inProcess.ts"

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * A process to start.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProcessOptions {
  /** The program: a path, or a name that is looked up in `PATH` of `env`. */
  readonly command: string
  /** Its arguments, which no shell reads. */
  readonly args: ReadonlyArray<string>
  /** All variables of the process, secrets among them. */
  readonly env: Readonly<Record<string, string>>
  /** The names of those variables that the definition sets itself, with `env`. The others come from this process. */
  readonly given: ReadonlyArray<string>
  /** Default: the working directory of this process. */
  readonly cwd: string | undefined
}

/**
 * Starts processes. {@link make} makes one of an effect, and {@link mapOptions} wraps one.
 *
 * @category services
 * @since 0.1.0
 */
export interface Processes {
  /** Fails if the command cannot be started, as far as a look tells. Runs before a start waits for its turn. */
  readonly prepare: (options: ProcessOptions) => Effect.Effect<void, SpawnFailed>
  /** Starts a process, which ends with the scope. */
  readonly start: (options: ProcessOptions) => Effect.Effect<Process, SpawnFailed, Scope.Scope>
}

/**
 * Reference to what starts the processes of stdio servers. Transports read it when their layer is built. Default: processes of this machine.
 *
 * @category references
 * @since 0.1.0
 */
export const Processes: Context.Reference<Processes> = Context.Reference<Processes>(
  "@mcp-sessions/transports/Processes",
  { defaultValue: () => childProcesses }
)

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * Makes processes of an effect, which runs in this process and ends with the exit code. When the scope closes, its input ends, and it is interrupted
 * after 1 second. One that fails by a defect exits with 1, and stderr shows the defect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (run: (program: InProcess.Program) => Effect.Effect<number, never, Scope.Scope>): Processes =>
  InProcess.make(run)

// -----------------------------------------------------------------------------
// Combinators
// -----------------------------------------------------------------------------

/**
 * Changes what is started, for instance to run it in a container.
 *
 * **Example** (Running servers in containers)
 *
 * ```ts import.meta.vitest
 * import { Processes } from "@mcp-sessions/transports"
 * import { Effect, Layer } from "effect"
 *
 * const inContainer = Processes.mapOptions(({ args, command, given, ...options }) => ({
 *   ...options,
 *   given,
 *   command: "docker",
 *   // Names alone: docker passes the values on, and no list of processes shows them.
 *   args: ["run", "-i", "--rm", "--init", ...given.flatMap((name) => ["-e", name]), "node:24", command, ...args]
 * }))
 * // Provide it to `Transports.layer`.
 * const layer = Layer.effect(Processes.Processes, Effect.map(Processes.Processes, inContainer))
 * Layer.isLayer(layer) // => true
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const mapOptions: {
  /**
   * Changes what is started.
   *
   * @since 0.1.0
   */
  (f: (options: ProcessOptions) => ProcessOptions): (self: Processes) => Processes
  /**
   * Changes what is started.
   *
   * @since 0.1.0
   */
  (self: Processes, f: (options: ProcessOptions) => ProcessOptions): Processes
} = dual(2, (self: Processes, f: (options: ProcessOptions) => ProcessOptions): Processes => ({
  prepare: (options) => self.prepare(f(options)),
  start: (options) => self.start(f(options))
}))
