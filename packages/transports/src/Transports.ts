/**
 * The universal factory: the transport of any server definition.
 *
 * @since 0.1.0
 */
import { ConfigError, UnsupportedTransport } from "@mcp-sessions/core/ConfigError"
import { Transport, Transports } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stdio from "./Stdio.ts"
import * as StreamableHttp from "./StreamableHttp.ts"

const supported = ["stdio", "streamable_http"]

/**
 * Layer that provides the factory for all transports of this package: stdio and Streamable HTTP.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Transports> = Layer.succeed(Transports, {
  transport: ({ config, name }) => {
    switch (config.transport) {
      case "stdio":
        return Stdio.layer(config)
      case "streamable_http":
        return StreamableHttp.layer(config)
      default: {
        const problem = new UnsupportedTransport({
          server: name,
          path: [],
          transport: config.transport,
          validNames: supported
        })
        return Layer.effect(Transport, Effect.fail(new ConfigError({ problems: [problem] })))
      }
    }
  }
})
