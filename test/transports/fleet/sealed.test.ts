/**
 * Gateways with `SessionRouter.layerSealed`: each takes any request of a client, and nothing connects them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Sessions } from "@mcp-sessions/core"
import { Gateway, SessionRouter, Transports } from "@mcp-sessions/transports"
import { Context, Effect, Layer, Redacted } from "effect"
import { serveAsking } from "../../fixtures/askingHttp.ts"
import { lastIdIn, openStream, startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, post, type Servers, textOf } from "../../fixtures/gateway.ts"
import { until } from "../../fixtures/peer.ts"

const startSealed = (
  servers: Servers,
  { key = "fleet", ...options }: Omit<Gateway.Options<never, never>, "sessionKey" | "sessions"> & {
    readonly key?: string
  } = {}
) => {
  const sessionKey = Redacted.make(Buffer.alloc(32, key))
  const layer = Gateway.layer({ ...options, sessionKey, sessions: Sessions.layer({ servers }) }).pipe(
    Layer.provide([Transports.layer, SessionRouter.layerSealed])
  )
  return Effect.map(Layer.build(Layer.fresh(layer)), (built) => Context.get(built, Gateway.Gateway))
}

const tokens = { alice: Redacted.make("the-token-of-alice"), bob: Redacted.make("the-token-of-bob-too") }

describe("gateways that seal their sessions", () => {
  it.live("each take any request of a client, and open sessions of their own for it", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const [first, second] = [
        yield* startSealed({ only: server.config }),
        yield* startSealed({ only: server.config })
      ]
      const { session } = yield* post(first.url, initialize)
      const before = server.count("POST initialize")
      for (const { url } of [second, first, second]) {
        assert.include((yield* post(url, call(1, "count"), { session })).text, "counted")
      }
      assert.strictEqual(server.count("POST initialize"), before + 2)
    }))

  it.live("know no session of another principal or of another key", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const [first, second] = [
        yield* startSealed({ only: server.config }, { tokens }),
        yield* startSealed({ only: server.config }, { tokens })
      ]
      const strange = yield* startSealed({ only: server.config }, { tokens, key: "other" })
      const as = (name: keyof typeof tokens) => Redacted.value(tokens[name])
      const { session } = yield* post(first.url, initialize, { token: as("alice") })
      const statuses = yield* Effect.all([
        post(second.url, call(1, "count"), { session, token: as("alice") }),
        post(second.url, call(1, "count"), { session, token: as("bob") }),
        post(strange.url, call(1, "count"), { session, token: as("alice") })
      ])
      assert.deepStrictEqual(statuses.map(({ status }) => status), [200, 404, 404])
    }))

  it.live("count the sessions of a principal at each", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const first = yield* startSealed({ only: server.config })
      const second = yield* startSealed({ only: server.config }, { limits: { maxSessionsPerPrincipal: 1 } })
      const sessions = yield* Effect.all([post(first.url, initialize), post(first.url, initialize)])
      const responses = yield* Effect.forEach(
        sessions,
        ({ session }) => post(second.url, call(1, "count"), { session })
      )
      assert.deepStrictEqual(responses.map(({ status }) => status), [200, 429])
      yield* post(second.url, undefined, { session: sessions[0].session, method: "DELETE" })
      assert.strictEqual(yield* second.clients, 0)
    }))

  it.live("do not know a session that its client has ended there", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const { clients, url } = yield* startSealed({ only: server.config })
      const { session } = yield* post(url, initialize)
      const ended = yield* post(url, undefined, { session, method: "DELETE" })
      const again = yield* post(url, call(1, "count"), { session })
      assert.deepStrictEqual([ended.status, again.status], [200, 404])
      assert.strictEqual(yield* clients, 0)
    }))

  it.live("end a session at one of them that has not made it, whatever limits hold there, and keep those of the others", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const first = yield* startSealed({ only: server.config })
      const second = yield* startSealed({ only: server.config }, { limits: { maxSessionsPerPrincipal: 1 } })
      const { session } = yield* post(first.url, initialize)
      yield* post(second.url, initialize)
      const ended = yield* post(second.url, undefined, { session, method: "DELETE" })
      const statuses = yield* Effect.all([
        post(second.url, call(1, "count"), { session }),
        post(first.url, call(2, "count"), { session })
      ])
      assert.deepStrictEqual([ended, ...statuses].map(({ status }) => status), [200, 404, 200])
      assert.strictEqual(yield* second.clients, 1)
    }))

  it.live("begin the stream anew of a client that had it at another, and repeat nothing of it", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const [first, second] = [
        yield* startSealed({ only: server.config }),
        yield* startSealed({ only: server.config })
      ]
      const { session } = yield* post(first.url, initialize)
      const log = (url: string, word: string) => post(url, call(1, "log", { word }), { session })
      const [one, other] = [yield* openStream(first.url, session), yield* openStream(second.url, session)]
      yield* log(first.url, "at the first")
      // The stream there has more messages than the client has of the first one.
      yield* log(second.url, "at the second")
      yield* log(second.url, "at the second again")
      yield* until(one.text, (text) => text.includes("at the first"))
      yield* until(other.text, (text) => text.includes("at the second again"))
      one.close()
      const resumed = yield* openStream(second.url, session, lastIdIn(one.text()))
      yield* log(second.url, "later")
      yield* until(resumed.text, (text) => text.includes("later"))
      assert.notInclude(resumed.text(), "at the")
    }))

  it.live("let no server ask a client, whose answer may reach another of them", () =>
    Effect.gen(function*() {
      const { url } = yield* startSealed({ asking: { url: yield* serveAsking, protocol: "legacy" } })
      const capabilities = { elicitation: { form: {} } }
      const { session } = yield* post(url, { ...initialize, params: { ...initialize.params, capabilities } })
      const { text } = yield* post(url, call(1, "ask"), { session })
      const result = (JSON.parse(text) as { readonly result?: { readonly isError?: boolean } }).result
      assert.isTrue(result?.isError, text)
      assert.notInclude(textOf(result), "accept")
      const _meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "bare", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": capabilities
      }
      const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "ask" }
      const modern = yield* post(url, call(1, "ask", {}, _meta), { headers })
      assert.notInclude(modern.text, "input_required")
      assert.isTrue(JSON.parse(modern.text).result?.isError, modern.text)
    }))

  it.live("do not start without a key", () =>
    Effect.gen(function*() {
      const gateway = Gateway.layer({ sessions: Sessions.layer({ servers: {} }) }).pipe(
        Layer.provide([Transports.layer, SessionRouter.layerSealed])
      )
      const error = yield* Effect.flip(Layer.build(gateway))
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, "sessionKey")
    }))
})
