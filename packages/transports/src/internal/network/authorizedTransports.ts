/**
 * Transports whose connections ask an authorizer for credentials.
 */
import type { ServerDefinition } from "@mcp-sessions/core/ServerConfig"
import type { ConnectReason } from "@mcp-sessions/core/SessionError"
import { Peer, Transport, type Transports } from "@mcp-sessions/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Authorizer, CurrentAuthorizer } from "./authorizer.ts"

/** An authorizer, and what loads its credentials before a connect. */
export interface Source {
  readonly authorizer: Authorizer
  readonly load: Effect.Effect<void, ConnectReason>
}

/** Adds the authorizers of owners to transports. Connections of an owner without one are left as they are. */
export const authorizedTransports = ({ inner, sourceOf }: {
  readonly inner: Transports["Service"]
  readonly sourceOf: (definition: ServerDefinition, owner: string) => Source | undefined
}): Transports["Service"] => ({
  transport: (definition) =>
    Layer.effect(
      Transport,
      Effect.map(Transport, ({ connect, forget }) => ({
        forget,
        connect: Effect.flatMap(Peer, ({ owner }) => {
          const source = sourceOf(definition, owner)
          return source === undefined
            ? connect
            : Effect.andThen(source.load, Effect.provideService(connect, CurrentAuthorizer, source.authorizer))
        })
      }))
    ).pipe(Layer.provide(inner.transport(definition)))
})
