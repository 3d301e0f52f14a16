/**
 * What nodes tell each other of ended sessions.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Stream } from "effect"
import { Announcements } from "../../../packages/transports/src/internal/fleet/announcements.ts"
import { DatabaseProbe } from "../../../packages/transports/src/internal/fleet/databaseProbe.ts"
import { EndedSessions } from "../../../packages/transports/src/internal/fleet/endedSessions.ts"
import { Forwarding } from "../../../packages/transports/src/internal/fleet/forward.ts"
import { Holds } from "../../../packages/transports/src/internal/fleet/holds.ts"
import { Hops } from "../../../packages/transports/src/internal/fleet/hop.ts"
import { SealedIds } from "../../../packages/transports/src/internal/gateway/protocol/sealedIds.ts"
import { makeFork } from "../../../packages/transports/src/internal/scopedFork.ts"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const day = 24 * 60 * 60 * 1000

/** Starts a node that knows one other, whose responses the test scripts. Gives what the other one was sent. */
const start = (statusOf: (number: number) => number) =>
  Effect.gen(function*() {
    const bodies: Array<string> = []
    const other = yield* Http.start(({ body, number, response }) => {
      bodies.push(body)
      response.writeHead(statusOf(number)).end()
      return true
    })
    const fork = yield* makeFork
    const holds: Holds = new Holds({
      database: new DatabaseProbe({ isReachable: Effect.succeed(true), fork, now: () => 0 }),
      fork,
      onOwner: (activation) => announcements.meet(activation)
    })
    const hops = new Hops(new SealedIds({ keys: [Redacted.make(Buffer.alloc(32, "k"))], purpose: "hop" }))
    const forwarding = yield* Effect.acquireRelease(
      Effect.sync(() => new Forwarding({ hops, holds, tls: undefined })),
      (forwarding) => Effect.sync(() => forwarding.close())
    )
    const ended = new EndedSessions(() => 0)
    const closed: Array<string> = []
    const close = (name: string) => Effect.sync(() => void closed.push(name))
    const announcements = new Announcements({ node: hops.node, ended, forwarding, holds, fork, close })
    const names = () =>
      bodies.map((body) => (JSON.parse(body) as ReadonlyArray<{ name: string }>).map(({ name }) => name))
    const follow = Effect.gen(function*() {
      const owner = { id: "a", node: "other", url: other.url }
      yield* holds.follow(() => Stream.concat(Stream.succeed(owner), Stream.never))
      yield* Effect.forkScoped(announcements.follow)
      yield* until(() => holds.isWhole, (isWhole) => isWhole)
    })
    return { announcements, closed, ended, follow, names }
  })

describe("a node", () => {
  it.live("tells another one once of each session that has ended, before it met that node and after", () =>
    Effect.gen(function*() {
      const { announcements, follow, names } = yield* start(() => 200)
      announcements.end("before")
      yield* follow
      yield* until(names, ({ length }) => length === 1)
      announcements.end("after")
      yield* until(names, ({ length }) => length === 2)
      assert.deepStrictEqual(names(), [["before"], ["after"]])
    }))

  it.live("tells again what the other one did not take", () =>
    Effect.gen(function*() {
      const { announcements, follow, names } = yield* start((number) => number === 1 ? 500 : 200)
      yield* follow
      announcements.end("one")
      yield* until(names, ({ length }) => length === 2)
      assert.deepStrictEqual(names(), [["one"], ["one"]])
    }))

  it.live("takes what a node has told it and nothing else, and closes what it has of that", () =>
    Effect.gen(function*() {
      const { announcements, closed, ended } = yield* start(() => 200)
      announcements.take("[{\"name\":\"told\",\"until\":1}]")
      announcements.take("[{\"name\":1}]")
      announcements.take("{")
      assert.deepStrictEqual(ended.all, [{ name: "told", until: 1 }])
      assert.deepStrictEqual(closed, ["told"])
    }))
})

describe("ended sessions", () => {
  it("are remembered until their tickets have expired", () => {
    const clock = { now: 0 }
    const ended = new EndedSessions(() => clock.now)
    ended.end("one")
    clock.now = 6 * day
    ended.end("two")
    assert.isTrue(ended.has("one"))
    clock.now = 7 * day
    ended.end("three")
    assert.deepStrictEqual(ended.all.map(({ name }) => name), ["two", "three"])
  })

  it("are 10,000 at most, of which the oldest are forgotten", () => {
    const ended = new EndedSessions(() => 0)
    for (let number = 0; number <= 10_000; number++) ended.end(String(number))
    assert.deepStrictEqual([ended.all.length, ended.has("0"), ended.has("1")], [10_000, false, true])
  })
})
