/**
 * Layers whose servers ask the clients of a gateway.
 */
import { ClientHandlers, type Peer } from "@mcp-sessions/core/ClientHandlers"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { handlersOf } from "./questions.ts"

/** Provides handlers to a layer of sessions that pass the questions of servers to clients. A handler of stderr in the context is kept. */
export const askingClients = <A, E, R>(
  sessions: Layer.Layer<A, E, R>,
  questions: Parameters<typeof handlersOf>[0]
): Layer.Layer<A, E, R> => {
  const handlers = handlersOf(questions)
  const asking = Effect.gen(function*() {
    const outer = yield* ClientHandlers
    const stderr = typeof outer === "function" ? undefined : outer.stderr
    return (peer: Peer) => ({ ...handlers(peer), ...(stderr === undefined ? {} : { stderr }) })
  })
  return Layer.fresh(Layer.provide(sessions, Layer.effect(ClientHandlers, asking)))
}
