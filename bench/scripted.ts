/**
 * A transport in memory whose responses come in a later turn of the event loop, as those of real servers do. It can be made to fail,
 * and to lose its connection.
 */
import { type Connection, fromRequest } from "@mcp-sessions/core/Connection"
import { type CloseReason, type RequestReason, TransportClosed, TransportFailed } from "@mcp-sessions/core/SessionError"
import { Transport, Transports } from "@mcp-sessions/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"

const info = {
  era: "legacy" as const,
  protocolVersion: "2025-11-25",
  implementation: undefined,
  capabilities: { tools: {} },
  instructions: undefined,
  pid: undefined
}

/** Runs what one turn brings in a later turn. */
const later = () => {
  let due: Array<() => void> = []
  const run = () => {
    const now = due
    due = []
    for (const each of now) each()
  }
  return (each: () => void): void => {
    if (due.push(each) === 1) setImmediate(run)
  }
}

export const scripted = () => {
  const soon = later()
  let lost = Deferred.makeUnsafe<CloseReason>()
  let isFailing = false
  const outcome = (): Exit.Exit<unknown, RequestReason> =>
    isFailing
      ? Exit.fail(new TransportFailed({ description: "reset", delivery: "Unknown" }))
      : Exit.succeed({ content: [] })
  const connect = Effect.suspend(() => {
    const closed = lost = Deferred.makeUnsafe<CloseReason>()
    return Effect.map(
      fromRequest({
        kind: "memory",
        initialize: Effect.succeed(info),
        request: () =>
          Effect.callback<unknown, RequestReason>((resume) => {
            soon(() => resume(outcome()))
          }),
        onNotification: () => {},
        listen: () => Effect.never,
        setLogLevel: () => Effect.void,
        closed: Deferred.await(closed),
        stderrTail: () => undefined,
        warnings: () => []
      }),
      (connection): Connection => ({
        ...connection,
        send: (request) => {
          request.isWritten = true
          soon(() => request.settle(outcome()))
        },
        cancel: () => {}
      })
    )
  })
  return {
    layer: Layer.succeed(Transports, { transport: () => Layer.succeed(Transport, { connect }) }),
    lose: Effect.suspend(() => Deferred.succeed(lost, new TransportClosed({ delivery: "Unknown" }))),
    fail: () => {
      isFailing = true
    }
  }
}
