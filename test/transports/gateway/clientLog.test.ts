/**
 * The log level of a client, and the servers that are told it.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Notification, Session } from "@mcp-sessions/core"
import { Deferred, Effect, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ClientLog } from "../../../packages/transports/src/internal/gateway/client/clientLog.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

/** A session that notes the levels that it is told, and answers once it may. */
const noting = (answer: Effect.Effect<void>) => {
  const levels: Array<Notification.LogLevel> = []
  const setLogLevel = (level: Notification.LogLevel) =>
    Effect.andThen(Effect.sync(() => levels.push(level)), Effect.asVoid(answer))
  return { levels, session: { server: "noting", setLogLevel } as unknown as Session.Session }
}

const make = Effect.map(Effect.scope, (scope) => new ClientLog({ scope, onChange: () => {} }))

describe("the log level of a client", () => {
  it.effect("is set without waiting for any server, and a server that has not answered learns the latest one", () =>
    Effect.gen(function*() {
      const log = yield* make
      const answer = yield* Deferred.make<void>()
      const [slow, quick] = [noting(Deferred.await(answer)), noting(Effect.void)]
      for (const level of ["debug", "info", "error"] as const) {
        yield* log.set(level, [slow.session, quick.session])
        assert.strictEqual(log.level, level)
      }
      assert.deepStrictEqual(quick.levels, ["debug", "info", "error"])
      assert.deepStrictEqual(slow.levels, ["debug"])
      assert.deepStrictEqual([log.isTelling(slow.session), log.isTelling(quick.session)], [true, false])
      yield* Deferred.succeed(answer, undefined)
      yield* log.told(slow.session)
      assert.deepStrictEqual(slow.levels, ["debug", "error"])
    }))

  it.effect("is waited for by what uses its server, for 5 seconds at most", () =>
    Effect.gen(function*() {
      const log = yield* make
      const { session } = noting(Effect.never)
      yield* log.set("debug", [session])
      const using = yield* Effect.forkChild(log.told(session), { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(using.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(using)
      yield* log.told(session)
      assert.isFalse(log.isTelling(session))
    }))

  it.effect("is told to nobody once the session of the client has closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const log = new ClientLog({ scope, onChange: () => {} })
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      const { levels, session } = noting(Effect.never)
      yield* log.set("debug", [session])
      yield* log.told(session)
      assert.isEmpty(levels)
    }))

  /** A server that logs, and does not answer `logging/setLevel` while it is mute. */
  const startLogging = (isMute: boolean) =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ message: { id, method }, response }) => {
        if (method === "initialize") {
          Http.json(
            response,
            Http.result(id, {
              protocolVersion: "2025-11-25",
              capabilities: { tools: {}, logging: {} },
              serverInfo: { name: "logging", version: "1" }
            })
          )
        } else if (method === "tools/list") {
          Http.json(response, Http.result(id, { tools: [{ name: "run", inputSchema: { type: "object" } }] }))
        } else if (method !== "logging/setLevel") return false
        else if (!isMute) Http.json(response, Http.result(id, {}))
        return true
      })
      return {
        server,
        config: { url: server.url, protocol: "legacy" as const },
        /** How many requests the gateway no longer waits for. */
        cancelled: () => server.count("POST notifications/cancelled")
      }
    })

  it.live("is answered, and calls at other servers run, while a server does not answer", () =>
    Effect.gen(function*() {
      const [mute, good] = [yield* startLogging(true), yield* startLogging(false)]
      const { url } = yield* startGateway({ mute: mute.config, good: good.config })
      const { session } = yield* post(url, initialize)
      // Both servers have a session of the client.
      for (const server of ["mute", "good"]) yield* post(url, call(1, `${server}_run`), { session })
      const set = { jsonrpc: "2.0", id: 2, method: "logging/setLevel", params: { level: "debug" } }
      const answer = yield* post(url, set, { session })
      assert.deepStrictEqual(JSON.parse(answer.text).result, {})
      const { text } = yield* post(url, call(3, "good_run"), { session })
      assert.include(text, "\"ok\"")
      yield* until(() => mute.server.count("POST logging/setLevel"), (count) => count === 1)
      assert.strictEqual(mute.cancelled(), 0)
      // The server had the level before it had the call.
      assert.deepStrictEqual(
        good.server.ledger.map(({ what }) => what).filter((what) => /setLevel|call/.test(what)),
        ["POST tools/call run", "POST logging/setLevel", "POST tools/call run"]
      )
    }))

  it.live("that a request of 2026-07-28 asks for delays nothing at other servers than its own", () =>
    Effect.gen(function*() {
      const [mute, good] = [yield* startLogging(true), yield* startLogging(false)]
      const { url } = yield* startGateway({ mute: mute.config, good: good.config })
      const modern = (id: number, name: string, level?: string) => {
        const meta = {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "bare", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": {},
          ...(level === undefined ? {} : { "io.modelcontextprotocol/logLevel": level })
        }
        const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": name }
        return post(url, call(id, name, {}, meta), { headers })
      }
      for (const name of ["mute_run", "good_run"]) assert.include((yield* modern(1, name)).text, "\"ok\"")
      const { text } = yield* modern(2, "good_run", "debug")
      assert.include(text, "\"ok\"")
      yield* until(() => mute.server.count("POST logging/setLevel"), (count) => count === 1)
      assert.strictEqual(mute.cancelled(), 0)
      assert.strictEqual(good.server.count("POST logging/setLevel"), 1)
    }))
})
