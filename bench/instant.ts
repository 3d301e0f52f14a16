/**
 * A transport whose connections answer in the same turn of the event loop, so that what is measured is what lies above them.
 */
import { fromRequest } from "@mcp-sessions/core/Connection"
import { Transport, Transports } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { info } from "./harness.ts"

/** What a request to it costs. */
export const request = Effect.callback<unknown>((resume) => {
  queueMicrotask(() => resume(Effect.succeed({ content: [] })))
  return Effect.void
})

export const instant = Layer.succeed(Transports, {
  transport: () =>
    Layer.succeed(Transport, {
      connect: fromRequest({
        kind: "memory" as const,
        initialize: Effect.succeed(info),
        request: () => request,
        onNotification: () => {},
        listen: () => Effect.never,
        setLogLevel: () => Effect.void,
        closed: Effect.never,
        stderrTail: () => undefined,
        warnings: () => []
      })
    })
})
