/**
 * Who is compared: a raw client, this library as Effects, and all clients of `@mcp-sessions/peers`, this library in promises
 * among them.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import { definitionOf } from "@mcp-sessions/peers/clients/mcpSessions.ts"
import type { Peer, PeerSession, ServerOf, TransportOf } from "@mcp-sessions/peers/Peer.ts"
import { peers } from "@mcp-sessions/peers/peers.ts"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { ofEffect, ofPromise, type Run } from "./harness.ts"
import * as raw from "./raw.ts"

export interface Contender {
  readonly transports: ReadonlyArray<TransportOf>
  readonly connect: (server: ServerOf) => Promise<{
    /** One call, to see that it is answered. */
    readonly call: () => Promise<unknown>
    readonly run: Run
    readonly close: () => Promise<unknown>
  }>
}

const [tool, args] = ["echo", { message: "hello" }] as const

const ofPeer = ({ connect, transports }: Pick<Peer, "transports"> & {
  readonly connect: (
    server: ServerOf
  ) => Promise<Pick<PeerSession, "call"> & { readonly close: () => Promise<unknown> }>
}): Contender => ({
  transports,
  connect: async (server) => {
    const session = await connect(server)
    const call = () => session.call(tool, args)
    return { call, run: ofPromise(call), close: session.close }
  }
})

const all: ReadonlyArray<TransportOf> = ["stdio", "http", "websocket"]

const inEffect: Contender = {
  transports: all,
  connect: async (server) => {
    const runtime = ManagedRuntime.make(
      Sessions.layer({ servers: { server: definitionOf(server) } }).pipe(Layer.provide(Transports.layer))
    )
    const scope = Scope.makeUnsafe()
    const session = await runtime.runPromise(
      Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("server")).pipe(Scope.provide(scope))
    )
    const call = session.callTool(tool, args)
    return {
      call: () => Effect.runPromise(call),
      run: ofEffect(call),
      close: async () => {
        await Effect.runPromise(Scope.close(scope, Exit.void))
        await runtime.dispose()
      }
    }
  }
}

export const contenders: Readonly<Record<string, () => Promise<Contender>>> = {
  raw: async () => ofPeer({ transports: all, connect: raw.connect }),
  "mcp-sessions, Effect": async () => inEffect,
  ...Object.fromEntries(Object.entries(peers).map(([name, load]) => [name, async () => ofPeer(await load())]))
}
