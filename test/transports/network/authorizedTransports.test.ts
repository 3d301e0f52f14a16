/**
 * Transports with authorizers: what reaches the transport below.
 */
import { assert, describe, it } from "@effect/vitest"
import { ServerConfig, SessionError, Transport } from "@mcp-sessions/core"
import { Context, Effect, Layer } from "effect"
import { authorizedTransports } from "../../../packages/transports/src/internal/network/authorizedTransports.ts"
import { CurrentAuthorizer } from "../../../packages/transports/src/internal/network/authorizer.ts"

/** A transport on top of one that records what it is asked; `sourceOf` decides which owners have an authorizer. */
const setting = (sourceOf: Parameters<typeof authorizedTransports>[0]["sourceOf"]) =>
  Effect.gen(function*() {
    const [definition] = yield* ServerConfig.decodeServers({ servers: { s: { url: "http://127.0.0.1:1/mcp" } } })
    assert.isDefined(definition)
    const asked: Array<unknown> = []
    const connect = Effect.flatMap(CurrentAuthorizer, (authorizer) => {
      asked.push(authorizer)
      return Effect.fail(new SessionError.ConnectionRefused({ address: "127.0.0.1:1", code: "ECONNREFUSED" }))
    })
    const inner = {
      transport: () => Layer.succeed(Transport.Transport, { connect, forget: () => void asked.push("forget") })
    }
    const context = yield* Layer.build(authorizedTransports({ inner, sourceOf }).transport(definition))
    return { asked, transport: Context.get(context, Transport.Transport) }
  })

const authorizer = { headers: () => [], challenged: () => Promise.resolve(undefined), secrets: () => [] }

describe("transports with authorizers", () => {
  it.effect("pass on that the transport below is to forget its server", () =>
    Effect.gen(function*() {
      const { asked, transport } = yield* setting(() => undefined)
      transport.forget?.()
      assert.deepStrictEqual(asked, ["forget"])
    }).pipe(Effect.scoped))

  it.effect("connect with the authorizer of an owner, and without one where the owner has none", () =>
    Effect.gen(function*() {
      const { asked, transport } = yield* setting((_, owner) =>
        owner === "ada" ? { authorizer, load: Effect.void } : undefined
      )
      const connectAs = (owner: string) =>
        Effect.flip(Effect.provideService(transport.connect, Transport.Peer, { owner, server: "s", handlers: {} }))
      yield* connectAs("ada")
      yield* connectAs("bob")
      assert.deepStrictEqual(asked, [authorizer, undefined])
    }).pipe(Effect.scoped))

  it.effect("do not connect if the credentials cannot be loaded", () =>
    Effect.gen(function*() {
      const failed = new SessionError.CredentialsFailed({ owner: "default" })
      const { asked, transport } = yield* setting(() => ({ authorizer, load: Effect.fail(failed) }))
      assert.strictEqual(yield* Effect.flip(transport.connect), failed)
      assert.deepStrictEqual(asked, [])
    }).pipe(Effect.scoped))
})
