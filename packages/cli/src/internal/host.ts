/**
 * The machine, as the caller of a command sees it.
 */
import { Host } from "@mcp-sessions/core/Host"
import * as NodeHost from "@mcp-sessions/transports/NodeHost"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Invocation } from "../Invocation.ts"
import { CurrentLaunch } from "./launch/currentLaunch.ts"

export const host: Layer.Layer<Host, never, Invocation> = Layer.effect(
  Host,
  Effect.gen(function*() {
    const { directory, environment } = yield* Invocation
    const launch = yield* CurrentLaunch
    const host = NodeHost.make({ environment, workingDirectory: directory })
    return launch === undefined ? host : launch.observe(host)
  })
)
