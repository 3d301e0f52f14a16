/**
 * Client sessions that are not used.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { openStream } from "../../fixtures/fleetServer.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import { movableClock } from "../../fixtures/movableClock.ts"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

/** A clock on which the sweep of sessions, every 30 seconds, waits for the test. */
const sweptClock = Effect.map(movableClock, ({ clock, skip }) => {
  const waiting: Array<() => void> = []
  const sleep: Clock.Clock["sleep"] = (duration) =>
    Duration.toMillis(duration) !== 30_000
      ? clock.sleep(duration)
      : Effect.callback((resume) => void waiting.push(() => resume(Effect.void)))
  return {
    clock: { ...clock, sleep },
    skip,
    /** Lets the sweep run, and waits until it has ended. */
    sweep: Effect.andThen(
      Effect.andThen(
        until(() => waiting.length, (length) => length > 0),
        Effect.sync(() => {
          for (const go of waiting.splice(0)) go()
        })
      ),
      until(() => waiting.length, (length) => length > 0)
    )
  }
})

/** Starts a server with sessions, whose tool `slow` ends when it is told. */
const startServer = Effect.gen(function*() {
  const slow: Array<() => void> = []
  const server = yield* Http.start(({ message: { id, method, params }, response }) => {
    if (method === "tools/list") {
      const tools = ["count", "slow"].map((name) => ({ name, inputSchema: { type: "object" } }))
      Http.json(response, Http.result(id, { tools }))
    } else if (method === "tools/call" && params?.name === "slow") {
      slow.push(() => Http.json(response, Http.toolResult(id, "done")))
    } else return false
    return true
  })
  /** The sessions of requests of a kind, in their order. */
  const sessionsOf = (kind: string) =>
    server.ledger.filter(({ what }) => what === kind).map(({ headers }) => headers["mcp-session-id"])
  return { ...server, slow, sessionsOf, config: { url: server.url, protocol: "legacy" as const } }
})

describe("a client session", () => {
  it.live("ends after `idleTimeToLive` with its sessions at servers, unless it has a stream or a request in flight", () =>
    Effect.gen(function*() {
      const { clock, skip, sweep } = yield* sweptClock
      yield* Effect.provideService(
        Effect.gen(function*() {
          const server = yield* startServer
          const { url } = yield* startGateway({ only: server.config }, { idleTimeToLive: "1 minute" })
          const open = Effect.map(post(url, initialize), ({ session }) => session)
          const [idle, streaming, calling] = [yield* open, yield* open, yield* open]
          for (const session of [idle, streaming]) yield* post(url, call(1, "count"), { session })
          const stream = yield* openStream(url, streaming)
          const called = yield* Effect.forkChild(post(url, call(1, "slow"), { session: calling }))
          yield* until(() => server.slow.length, (length) => length === 1)
          const [ofIdle, ofStreaming] = server.sessionsOf("POST tools/call count")
          const [ofCalling] = server.sessionsOf("POST tools/call slow")
          assert.strictEqual(new Set([ofIdle, ofStreaming, ofCalling]).size, 3)

          skip(30_000)
          yield* sweep
          assert.deepStrictEqual(server.sessionsOf("DELETE"), [])
          skip(31_000)
          yield* sweep
          assert.deepStrictEqual(server.sessionsOf("DELETE"), [ofIdle])
          assert.strictEqual((yield* post(url, call(2, "count"), { session: idle })).status, 404)
          assert.isFalse(stream.isOver())
          for (const go of server.slow.splice(0)) go()
          assert.include((yield* Fiber.join(called)).text, "done")

          stream.close()
          yield* until(stream.isOver, (isOver) => isOver)
          skip(61_000)
          // The gateway may notice the end of the stream after the first of these sweeps.
          yield* Effect.repeat(sweep, { until: () => server.sessionsOf("DELETE").length === 3 })
          assert.sameMembers(server.sessionsOf("DELETE"), [ofIdle, ofStreaming, ofCalling])
        }),
        Clock.Clock,
        clock
      )
    }))
})
