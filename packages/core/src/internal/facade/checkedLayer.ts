/**
 * Layer of sessions for options that a program gives in plain values.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { ClientHandlers } from "../../ClientHandlers.ts"
import type { ConfigError } from "../../ConfigError.ts"
import { BadOptions } from "../config/callOptions.ts"
import { layerHandlers, type Options } from "./plainOptions.ts"

/** What goes wrong in the background goes to stderr, unless loggers of the program take it: stdout belongs to the program, which may speak a protocol there. */
const logsToStderr = Layer.succeed(Logger.LogToStderr, true)

/** Makes a layer of checked options over transports, with the handlers and the telemetry of the program. Fails with every problem of the options. */
export const checkedLayer = <Checked, A, R>(options: {
  readonly check: () => Checked | BadOptions
  readonly layer: (checked: Checked) => Layer.Layer<A, ConfigError, R>
  readonly handlers?: Options["handlers"]
  readonly telemetry?: Options["telemetry"]
  readonly transports: Layer.Layer<R, ConfigError>
}): Layer.Layer<A, ConfigError> =>
  Layer.unwrap(Effect.suspend(() => {
    const { check, handlers, layer, telemetry, transports } = options
    const checked = check()
    if (checked instanceof BadOptions) return Effect.fail(checked.error)
    const made = Layer.provide(layer(checked), transports)
    const handled = handlers === undefined
      ? made
      : Layer.provide(made, Layer.succeed(ClientHandlers, layerHandlers(handlers)))
    // Operations run in the context of the layer, and are traced there.
    return Effect.succeed(
      Layer.provideMerge(handled, Layer.provideMerge(telemetry?.layer ?? Layer.empty, logsToStderr))
    )
  }))
