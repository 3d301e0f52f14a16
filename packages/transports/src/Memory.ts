/**
 * Transport for servers that run in the same process: for tests, and for programs that embed their server.
 *
 * **Example** (Testing a program with a server in memory)
 *
 * ```ts import.meta.vitest
 * import { Mcp, Sessions } from "@mcp-sessions/core"
 * import { Memory } from "@mcp-sessions/transports"
 * import { McpServer } from "@modelcontextprotocol/server"
 * import { Effect, Layer } from "effect"
 *
 * const serve = (peer) => {
 *   const server = new McpServer({ name: "greeter", version: "1.0.0" })
 *   server.registerTool("greet", {}, () => ({ content: [{ type: "text", text: "hello" }] }))
 *   return server.connect(peer)
 * }
 * // The definition is that of the program: nothing of it is started.
 * const sessions = Sessions.layer({ servers: { greeter: { transport: "stdio", command: "greeter" } } }).pipe(
 *   Layer.provide(Memory.layerTransports({ greeter: serve }))
 * )
 * const program = Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("greeter", "greet"))
 *
 * Mcp.text(await Effect.runPromise(Effect.provide(program, sessions))) // => "hello"
 * ```
 *
 * @since 0.1.0
 */
import type { ServerDefinition } from "@mcp-sessions/core/ServerConfig"
import { Transport, Transports } from "@mcp-sessions/core/Transport"
import type { Transport as SdkTransport } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { openMemory } from "./internal/memory.ts"
import * as connection from "./internal/sdk/connection.ts"

/**
 * Attaches a server to its end of a new pair of transports, such as `(peer) => server.connect(peer)` with the SDK's
 * `McpServer`, or `(peer) => { serveStdio(factory, { transport: peer }) }` for a server of both eras.
 *
 * @category models
 * @since 0.1.0
 */
export type Serve = (peer: SdkTransport) => Promise<unknown> | void

/**
 * Layer that provides the transport to one server in this process. Each connection attaches `serve` to a new pair.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  readonly serve: Serve
  readonly config: ServerDefinition["config"]
}): Layer.Layer<Transport> =>
  Layer.sync(Transport, () => {
    const { config, serve } = options
    const era = connection.unknownEra()
    return {
      connect: connection.make({ kind: "memory", config, address: "memory", era, open: openMemory(serve) }),
      forget: era.forget
    }
  })

/**
 * Layer that provides a factory for tests: the server in `servers` with the name of a definition answers, whatever transport the
 * definition has. The other options of the definition apply, such as timeouts and protocol.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTransports = (servers: Readonly<Record<string, Serve>>): Layer.Layer<Transports> =>
  Layer.succeed(Transports, {
    transport: ({ config, name }) => {
      const serve = servers[name]
      return serve === undefined
        ? Layer.effect(Transport, Effect.die(new RangeError(`no server in memory has the name ${name}`)))
        : layer({ serve, config })
    }
  })
