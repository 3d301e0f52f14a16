/**
 * Start gate of openAll: at most four processes that have shown no first byte, and no place for anything that starts no process.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, SessionError, Sessions, Transport } from "@mcp-sessions/core"
import { Clock, Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Scripted from "../../fixtures/scripted.ts"

type Behaviour = "mute" | "slow" | "prompt" | "missing" | "remote"

/** A transport whose processes behave as the name of their command says. */
const setting = (names: ReadonlyArray<Behaviour>) => {
  const starts: Array<{ readonly at: number; silentUntil: number }> = []
  const script = Scripted.make({})
  const connected = Effect.flatMap(Transport.Transport, ({ connect }) => connect).pipe(Effect.provide(script.transport))
  const transportOf = (kind: Behaviour): Layer.Layer<Transport.Transport> =>
    Layer.succeed(Transport.Transport, {
      connect: Effect.gen(function*() {
        if (kind === "remote") return yield* connected
        if (kind === "missing") return yield* new SessionError.SpawnFailed({ command: "missing", code: "ENOENT" })
        const started = yield* yield* Transport.ProcessStart
        const at = yield* Clock.currentTimeMillis
        const start = { at, silentUntil: Number.POSITIVE_INFINITY }
        starts.push(start)
        if (kind === "mute") return yield* Effect.never
        if (kind === "slow") yield* Effect.sleep("50 millis")
        start.silentUntil = yield* Clock.currentTimeMillis
        started()
        return yield* connected
      })
    })
  const servers = Object.fromEntries(names.map((kind, index) => [
    `${kind}${index}`,
    kind === "remote"
      ? { transport: "streamable_http" as const, url: "http://localhost/", healthInterval: 0 }
      : { transport: "stdio" as const, command: kind, args: [], healthInterval: 0 }
  ]))
  const layer = Sessions.layer({ servers, retry: RetryPolicy.never }).pipe(
    Layer.provide(Layer.succeed(Transport.Transports, {
      transport: ({ name }) => transportOf(names[Number(name.replace(/\D+/, ""))] ?? "mute")
    }))
  )
  return { layer, starts }
}

/** Opens all servers, and returns when each was reported, in milliseconds. */
const openAll = Effect.gen(function*() {
  const reported: Array<readonly [server: string, tag: string, at: number]> = []
  const { openAll } = yield* Sessions.Sessions
  yield* Effect.forkScoped(
    Stream.runForEach(
      openAll(),
      ({ _tag, server }) => Effect.map(Clock.currentTimeMillis, (at) => void reported.push([server, _tag, at]))
    ),
    { startImmediately: true }
  )
  // All starts are made before the time moves.
  for (let n = 0; n < 300; n++) yield* Effect.yieldNow
  for (let n = 0; n < 400; n++) yield* TestClock.adjust("10 millis")
  return reported
})

const many = (count: number, kind: Behaviour): ReadonlyArray<Behaviour> => Array.from({ length: count }, () => kind)

describe("openAll", () => {
  it.effect("lets at most four processes start that have written no byte, each for 150 ms", () => {
    const { layer, starts } = setting([...many(40, "mute"), "prompt"])
    return Effect.gen(function*() {
      const reported = yield* openAll
      assert.strictEqual(starts.length, 41)
      for (const { at } of starts) {
        const starting = starts.filter((other) => other.at <= at && at < Math.min(other.silentUntil, other.at + 150))
        assert.isAtMost(starting.length, 4)
      }
      assert.deepStrictEqual(reported, [["prompt40", "Usable", 1500]])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("starts the next process as soon as one has written a byte", () => {
    const { layer } = setting(many(12, "slow"))
    return Effect.gen(function*() {
      const times = (yield* openAll).map(([, tag, at]) => `${tag} ${at}`)
      assert.deepStrictEqual(
        times,
        ["Usable 50", "Usable 100", "Usable 150"].flatMap((time) => [time, time, time, time])
      )
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("reports remote servers and missing commands at once, behind any number of mute processes", () => {
    const { layer } = setting([...many(40, "mute"), ...many(5, "missing"), "remote"])
    return Effect.gen(function*() {
      const reported = yield* openAll
      assert.deepStrictEqual(reported.filter(([, , at]) => at > 0), [])
      assert.deepStrictEqual(reported.map(([, tag]) => tag).toSorted(), [
        ...many(5, "missing").map(() => "Failed"),
        "Usable"
      ])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("does not count the wait for a start against the connect timeout", () => {
    const { layer, starts } = setting([...many(36, "mute"), "slow"])
    return Effect.gen(function*() {
      const { openAll: open } = yield* Sessions.Sessions
      const failed: Array<number> = []
      yield* Effect.forkScoped(
        Stream.runForEach(
          open(),
          ({ _tag }) =>
            Effect.map(Clock.currentTimeMillis, (at) => _tag === "Failed" ? void failed.push(at) : undefined)
        ),
        { startImmediately: true }
      )
      for (let n = 0; n < 400; n++) yield* TestClock.adjust("100 millis")
      const mute = starts.slice(0, 36).map(({ at }) => at + 30_000)
      assert.deepStrictEqual(failed.toSorted((a, b) => a - b), mute.toSorted((a, b) => a - b))
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})
