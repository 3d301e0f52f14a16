/**
 * The subscriptions of a client to resources.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { Subscriptions } from "../../../packages/transports/src/internal/gateway/client/subscriptions.ts"
import { codes, RpcError } from "../../../packages/transports/src/internal/gateway/protocol/rpc.ts"
import { withLogs } from "../../fixtures/logs.ts"

const lost = new RpcError({ code: codes.serverFailed, message: "the server is gone" })

/** A server that establishes subscriptions, and fails them, when it is told. */
const makeServer = () => {
  const followed: Array<{ readonly answer: Effect.Effect<void>; readonly fail: Effect.Effect<void> }> = []
  let open = 0
  const source = {
    server: "notes",
    follow: (established: Effect.Effect<void>) =>
      Effect.gen(function*() {
        const answered = yield* Deferred.make<void>()
        const failed = yield* Deferred.make<void, RpcError>()
        open++
        followed.push({
          answer: Effect.asVoid(Deferred.succeed(answered, undefined)),
          fail: Effect.asVoid(Deferred.fail(failed, lost))
        })
        const answering = Effect.andThen(Effect.andThen(Deferred.await(answered), established), Effect.never)
        yield* Effect.raceFirst(answering, Deferred.await(failed)).pipe(Effect.ensuring(Effect.sync(() => open--)))
      })
  }
  return { source, followed, open: () => open }
}

const make = Effect.map(Effect.scope, (scope) => {
  let changes = 0
  const subscriptions = new Subscriptions({ scope, onChange: () => changes++ })
  return { subscriptions, changes: () => changes, ...makeServer() }
})

/** Runs an effect at once, as far as it goes. */
const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("a subscription", () => {
  it.effect("is one for all requests of its URI, and each is answered once the server has answered", () =>
    Effect.gen(function*() {
      const { changes, followed, open, source, subscriptions } = yield* make
      const adding = yield* Effect.all([start(subscriptions.add("a", source)), start(subscriptions.add("a", source))])
      assert.lengthOf(followed, 1)
      assert.deepStrictEqual(adding.map((fiber) => fiber.pollUnsafe()), [undefined, undefined])
      yield* followed[0]?.answer ?? Effect.void
      yield* Fiber.joinAll(adding)
      yield* subscriptions.add("a", source)
      assert.deepStrictEqual([subscriptions.uris, followed.length, changes()], [["a"], 1, 1])
      yield* subscriptions.remove("a")
      assert.deepStrictEqual([subscriptions.uris, open(), changes()], [[], 0, 2])
    }))

  it.effect("counts from the moment that it is asked for: there are 256 at most", () =>
    Effect.gen(function*() {
      const { source, subscriptions } = yield* make
      for (let index = 0; index < 256; index++) yield* start(subscriptions.add(`${index}`, source))
      const refused = yield* Effect.flip(subscriptions.add("256", source))
      assert.strictEqual(refused.code, codes.limited)
      // One that there is costs nothing.
      const joined = yield* start(subscriptions.add("0", source))
      assert.isUndefined(joined.pollUnsafe())
      assert.lengthOf(subscriptions.uris, 256)
    }))

  it.effect("ends when the client ends it before the server has answered, and the request fails", () =>
    Effect.gen(function*() {
      const { followed, open, source, subscriptions } = yield* make
      const adding = yield* start(Effect.flip(subscriptions.add("a", source)))
      yield* subscriptions.remove("a")
      assert.deepStrictEqual([open(), subscriptions.uris], [0, []])
      assert.include((yield* Fiber.join(adding)).message, "was ended")
      const again = yield* start(subscriptions.add("a", source))
      yield* followed[1]?.answer ?? Effect.void
      yield* Fiber.join(again)
      assert.deepStrictEqual([open(), subscriptions.uris], [1, ["a"]])
    }))

  it.effect("goes on while one request waits for it, and ends with the last that is cancelled", () =>
    Effect.gen(function*() {
      const { open, source, subscriptions } = yield* make
      const first = yield* start(subscriptions.add("a", source))
      const second = yield* start(subscriptions.add("a", source))
      yield* Fiber.interrupt(first)
      assert.strictEqual(open(), 1)
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual([open(), subscriptions.uris], [0, []])
    }))

  it.effect("fails all requests for it with the failure of the server, and can be made again", () =>
    Effect.gen(function*() {
      const { followed, source, subscriptions } = yield* make
      const adding = yield* Effect.all([
        start(Effect.flip(subscriptions.add("a", source))),
        start(Effect.flip(subscriptions.add("a", source)))
      ])
      yield* followed[0]?.fail ?? Effect.void
      assert.deepStrictEqual(yield* Effect.forEach(adding, Fiber.join), [lost, lost])
      yield* start(subscriptions.add("a", source))
      assert.lengthOf(followed, 2)
    }))

  it.effect("that ends after it was established is logged with its reason, and one that the client ends is not", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const { followed, source, subscriptions } = yield* make
        for (const [index, uri] of ["kept", "lost"].entries()) {
          const adding = yield* start(subscriptions.add(uri, source))
          yield* followed[index]?.answer ?? Effect.void
          yield* Fiber.join(adding)
        }
        yield* subscriptions.remove("kept")
        assert.isEmpty(logs)
        yield* followed[1]?.fail ?? Effect.void
        yield* Effect.yieldNow
        assert.deepStrictEqual(subscriptions.uris, [])
        assert.lengthOf(logs, 1)
        assert.match(logs.join(), /^Warn a subscription at notes has ended .*the server is gone/s)
      })
    ))

  it.effect("ends without a trace while the client has another one of its URI already", () =>
    Effect.gen(function*() {
      const { subscriptions } = yield* make
      const ending = yield* Deferred.make<void>()
      const slow = {
        server: "notes",
        follow: (established: Effect.Effect<void>) =>
          Effect.andThen(established, Effect.never).pipe(Effect.ensuring(Deferred.await(ending)))
      }
      yield* subscriptions.add("a", slow)
      const removing = yield* start(subscriptions.remove("a"))
      yield* subscriptions.add("a", makeServerAtOnce)
      yield* Deferred.succeed(ending, undefined)
      yield* Fiber.join(removing)
      assert.deepStrictEqual(subscriptions.uris, ["a"])
    }))

  it.effect("fails with the failure of the gateway after a defect, which is logged", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const { subscriptions } = yield* make
        const error = yield* Effect.flip(subscriptions.add("note://1", {
          server: "notes",
          follow: () => Effect.die("a fault")
        }))
        assert.strictEqual(error.code, codes.internalError)
        assert.isTrue(logs.some((line) => line.includes("failed to follow a subscription at notes")))
        assert.deepStrictEqual(subscriptions.uris, [])
      })
    ))

  it.effect("fails at once when the session of the client has closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const subscriptions = new Subscriptions({ scope, onChange: () => {} })
      yield* Scope.close(scope, Exit.void)
      yield* Effect.flip(subscriptions.add("a", makeServer().source))
      assert.deepStrictEqual(subscriptions.uris, [])
    }))
})

/** A server that answers at once. */
const makeServerAtOnce = {
  server: "notes",
  follow: (established: Effect.Effect<void>) => Effect.andThen(established, Effect.never)
}
