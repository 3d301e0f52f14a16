/**
 * Transport for servers that are started as child processes and spoken to over their standard streams.
 *
 * **Details**
 *
 * The child leads a process group and is ended with all of it: end of input, 1 s, SIGTERM, 1 s, SIGKILL. Its environment
 * is the SDK's short list (`PATH` and `HOME` among it) and what the definition adds; nothing else of this process leaks
 * into it. The last 64 KiB that it writes to stderr are kept, and their tail is in the errors.
 *
 * **Gotchas**
 *
 * A process that leaves its group on purpose (a daemon) is out of reach of any parent.
 *
 * @since 0.1.0
 */
import type { ServerConfig } from "@mcp-sessions/core/ServerConfig"
import { Transport } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Channel } from "./internal/jsonRpc/engineChannel.ts"
import * as sdkConnection from "./internal/sdk/sdkConnection.ts"
import { spawn } from "./internal/stdio/childProcess.ts"
import { StdioTransport } from "./internal/stdio/stdioTransport.ts"

/**
 * Layer that provides the transport of one stdio definition.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (config: Extract<ServerConfig, { readonly transport: "stdio" }>): Layer.Layer<Transport> =>
  Layer.sync(Transport, () => {
    const open = Effect.gen(function*() {
      const child = yield* spawn(config)
      const transport = new StdioTransport(child, config)
      // The cancellation of a call that ends with the connection should still get to the server.
      yield* Effect.addFinalizer(() => Effect.sync(transport.flush))
      const channel: Channel = {
        transport,
        gone: (delivery) => transport.gone(delivery),
        stderrTail: () => child.stderrTail(),
        warnings: () => transport.warnings(),
        pid: child.process.pid
      }
      return channel
    })
    const era = sdkConnection.unknownEra()
    return { connect: sdkConnection.make({ kind: "stdio", config, address: config.command, era, open }) }
  })
