/**
 * Transport for servers that run as child processes, over their standard streams.
 *
 * **Details**
 *
 * Processes are started by the `Processes` of the program, by default as children of this process.
 *
 * The child leads a process group, and the whole group is ended: end of input, 1 s, SIGTERM, 1 s, SIGKILL. The last
 * 64 KiB of stderr are kept, and errors quote their tail. While the program does not read, up to 8 Mi characters of messages wait,
 * unwritten; further requests fail with `QueueFull`.
 *
 * The environment of the child is a short list of variables of this process, those that `inheritEnv` names, and the `env` of the definition.
 * The short list holds what a program needs to find its files, its caches and the network: `PATH`, `HOME`, `TMPDIR`, the language, the
 * directories of XDG, proxies with their credentials, files of certificates, options of npm without credentials, and on Windows also
 * `SystemRoot`, `APPDATA`, `PATHEXT` and their like. With `inheritEnv: false` only `PATH` is left (on Windows also `PATHEXT` and `SystemRoot`).
 *
 * If this process is killed, or a worker that started servers is terminated, a small shell ends their groups in the same steps.
 *
 * **Gotchas**
 *
 * A process that leaves its group on purpose (a daemon) cannot be ended. Windows has no process groups: when this process is killed there,
 * a server only sees the end of its input.
 *
 * @since 0.1.0
 */
import type { Connection } from "@mcp-sessions/core/Connection"
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import type { ConnectReason } from "@mcp-sessions/core/SessionError"
import { Transport } from "@mcp-sessions/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { EngineChannel } from "./internal/channel/engineChannel.ts"
import { type RememberedEra, unknownEra } from "./internal/sdk/connecting.ts"
import { startServer } from "./internal/stdio/serverProcess.ts"
import { spawnAhead } from "./internal/stdio/spawnAhead.ts"
import { followStderr } from "./internal/stdio/stderrLines.ts"
import { Processes } from "./Processes.ts"

type StdioConfig = Extract<ServerConfig, { readonly transport: "stdio" }>

const load = () =>
  Promise.all([
    import("./internal/sdk/connection.ts"),
    import("./internal/stdio/stdioTransport.ts"),
    import("./internal/sdk/warmUp.ts")
  ])

/**
 * Reference to what is remembered of the era of one server from one program to the next: whether it has shown by an answer that it is of the
 * legacy era. Then the first message to it is `initialize`. The transport sets it after each connect, and corrects it if the server has changed. Default:
 * `undefined`, and nothing is remembered.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentEra: Context.Reference<RememberedEra | undefined> = Context.Reference<RememberedEra | undefined>(
  "@mcp-sessions/transports/Stdio/CurrentEra",
  { defaultValue: () => undefined }
)

/** What speaks the protocol, once it is loaded. It takes about as long to load as a server takes to start. */
let protocol: Awaited<ReturnType<typeof load>> | undefined

/**
 * Layer that provides the transport of one stdio definition.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (config: StdioConfig): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(Effect.all([Processes, CurrentEra]), ([processes, remembered]) => {
      const era = unknownEra(remembered)
      const started = Effect.tap(startServer(config, processes), followStderr)
      const connect = (
        [{ make }, { StdioTransport }]: Awaited<ReturnType<typeof load>>,
        start: typeof started
      ): Effect.Effect<Connection, ConnectReason, Scope.Scope> => {
        const open = Effect.gen(function*() {
          const child = yield* start
          const transport = new StdioTransport(child, config)
          // The cancellation of a call that ends with the connection still has to be written.
          yield* Effect.addFinalizer(() => Effect.sync(() => transport.flush()))
          const channel: EngineChannel = {
            transport,
            ended: () => transport.ended(),
            pending: () => transport.pending(),
            stderrTail: () => child.stderrTail(),
            warnings: () => transport.warnings(),
            pid: child.pid
          }
          return channel
        })
        return make({ kind: "stdio", config, address: config.command, era, open })
      }
      return {
        connect: Effect.suspend(() =>
          protocol === undefined
            ? Effect.gen(function*() {
              const start = yield* spawnAhead(started)
              protocol ??= yield* Effect.promise(load)
              const [, , { warmUp }] = protocol
              // Once the first message was written. Without it, the handshake only takes longer.
              setImmediate(() => warmUp().catch(() => {}))
              return yield* connect(protocol, start)
            })
            : connect(protocol, started)
        ),
        forget: era.forget
      }
    })
  )
