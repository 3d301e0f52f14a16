/**
 * `serve` with rates and circuits in Redis. Tests of Redis itself are skipped when `redis-server` is not installed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { call, initialize, post } from "../fixtures/gateway.ts"
import { until } from "../fixtures/peer.ts"
import * as Redis from "../fixtures/redis.ts"
import { tcpProxy } from "../fixtures/tcpProxy.ts"
import { inWorkplace } from "./cli.ts"
import { servers, serving } from "./serving.ts"

if (!Redis.isInstalled) console.warn("ServeRedis.test.ts skips Redis: redis-server is not installed")

/** Initializes and calls a tool. */
const use = (url: string) =>
  Effect.gen(function*() {
    const { session } = yield* post(url, initialize)
    assert.strictEqual((yield* post(url, call(1, "echo"), { session })).status, 200)
  })

const lost = /rates and circuits are not shared, because the Redis at 127\.0\.0\.1:\d+ cannot be used \((.*?)\)/g

const problemsIn = (stderr: string) => Array.from(stderr.matchAll(lost), ([, problem]) => problem)

describe.concurrent("serve --redis", () => {
  it.live("refuses a password on the command line, and URLs that are not of Redis, and quotes none of them", () =>
    inWorkplace((place, file) =>
      Effect.gen(function*() {
        place.write("mcp-sessions.json", servers(file))
        place.write("url", "rediss:///hunter2hunter2")
        const refused = (words: ReadonlyArray<string>, env: Record<string, string> = {}) =>
          Effect.map(place.run(["serve", ...words], { env }), ({ status, stderr }) => {
            assert.strictEqual(status, 2)
            assert.notInclude(stderr, "hunter2hunter2")
            return stderr
          })
        assert.match(
          yield* refused(["--redis", "redis://:hunter2hunter2@127.0.0.1:1"]),
          /--redis: other users .* can read a password[^]*set MCP_SESSIONS_REDIS_URL/
        )
        const expected = ": expected a URL such as redis://user:password@host:6379"
        assert.include(yield* refused(["--redis", "http://127.0.0.1:1/hunter2hunter2"]), `--redis${expected}`)
        assert.include(yield* refused(["--redis", "redis://127.0.0.1:1/hunter2hunter2"]), `--redis${expected}`)
        assert.include(yield* refused(["--redis", "url"]), `--redis${expected}`)
        assert.include(
          yield* refused(["--redis", "127.0.0.1:6379"]),
          "--redis: \"127.0.0.1:6379\" is neither a file nor a redis:// or rediss:// URL"
        )
        assert.include(
          yield* refused(["--redis", ":hunter2hunter2@127.0.0.1:6379"]),
          "--redis: the value is neither a file nor a redis:// or rediss:// URL"
        )
        const env = { MCP_SESSIONS_REDIS_URL: "redis://:hunter2hunter2%@127.0.0.1:1" }
        assert.include(yield* refused([], env), `MCP_SESSIONS_REDIS_URL${expected}`)
      })
    ))

  it.live("serves without Redis, and says once that nothing is shared, without the password", () =>
    Effect.gen(function*() {
      const { processes: [one] } = yield* serving([["--redis", "url"]], {
        files: { url: "redis://:hunter2hunter2@127.0.0.1:1\n" }
      })
      assert.isDefined(one)
      for (const _ of [1, 2]) yield* use(one.url)
      one.child.kill("SIGINT")
      assert.deepStrictEqual(yield* one.exited, [130, null])
      assert.deepStrictEqual(problemsIn(one.stderr()), ["ECONNREFUSED"])
      assert.notInclude(one.stderr(), "hunter2hunter2")
    }))

  it.live.skipIf(!Redis.isInstalled)(
    "has rates of clients and circuits in Redis, serves while it is away, and uses it again when it is back",
    () =>
      Effect.gen(function*() {
        const redis = yield* Redis.start
        const { processes: [one] } = yield* serving([[]], {
          env: { MCP_SESSIONS_REDIS_URL: `redis://127.0.0.1:${redis.port}` }
        })
        assert.isDefined(one)
        /** Waits until Redis was asked about a client and about the server. */
        const untilUsed = Effect.gen(function*() {
          yield* Effect.promise(() => redis.send("CONFIG SET slowlog-log-slower-than 0"))
          yield* Effect.gen(function*() {
            yield* use(one.url)
            return yield* Effect.promise(() => redis.send("SLOWLOG GET 64"))
          }).pipe(
            Effect.repeat({
              until: (log) =>
                /mcp-sessions:rate:client:[\w-]{43}\r/.test(log) && /mcp-sessions:circuit:only\r/.test(log)
            })
          )
        })
        yield* untilUsed
        assert.notInclude(one.stderr(), "shared")
        yield* Effect.promise(redis.stop)
        yield* until(() => problemsIn(one.stderr()), (problems) => problems.length > 0)
        yield* use(one.url)
        yield* Effect.promise(redis.run)
        yield* until(() => one.stderr(), (text) => text.includes("rates and circuits are shared again"))
        yield* untilUsed
        assert.lengthOf(problemsIn(one.stderr()), 1)
      })
  )

  it.live.skipIf(!Redis.isInstalled)(
    "replaces a connection on which Redis does not respond, and serves meanwhile",
    () =>
      Effect.gen(function*() {
        const redis = yield* Redis.start
        const proxy = yield* tcpProxy(redis.port)
        const { processes: [one] } = yield* serving([["--redis", `redis://127.0.0.1:${proxy.port}`]])
        assert.isDefined(one)
        yield* use(one.url)
        proxy.freeze()
        // What the gateway reports meanwhile is written, and does not make the connection one that responds.
        yield* use(one.url).pipe(Effect.repeat({ until: () => problemsIn(one.stderr()).length > 0 }))
        yield* until(() => one.stderr(), (text) => text.includes("rates and circuits are shared again"))
        assert.deepStrictEqual(problemsIn(one.stderr()), ["no response"])
      })
  )

  it.live.skipIf(!Redis.isInstalled)(
    "tries again while Redis is away, and says so once",
    () =>
      Effect.gen(function*() {
        const redis = yield* Redis.start
        const proxy = yield* tcpProxy(redis.port)
        proxy.leave()
        const { processes: [one] } = yield* serving([["--redis", `redis://127.0.0.1:${proxy.port}`]])
        assert.isDefined(one)
        yield* until(proxy.accepted, (connections) => connections >= 3)
        proxy.comeBack()
        yield* until(() => one.stderr(), (text) => text.includes("rates and circuits are shared again"))
        assert.lengthOf(problemsIn(one.stderr()), 1)
      })
  )

  it.live.skipIf(!Redis.isInstalled)(
    "uses a Redis that asks for a user, and names the refusal of a wrong password",
    () =>
      Effect.gen(function*() {
        const redis = yield* Redis.start
        yield* Effect.promise(() => redis.send("ACL SETUSER gateway on >hunter2hunter2 ~* +@all"))
        const urlWith = (password: string) => `redis://gateway:${password}@127.0.0.1:${redis.port}/2\n`
        const { processes: [right, wrong] } = yield* serving([["--redis", "right"], ["--redis", "wrong"]], {
          files: { right: urlWith("hunter2hunter2"), wrong: urlWith("hunter3hunter3") }
        })
        assert.isDefined(right)
        assert.isDefined(wrong)
        yield* use(right.url)
        assert.match(yield* Effect.promise(() => redis.send("INFO keyspace")), /db2:keys=/)
        yield* use(wrong.url)
        assert.deepStrictEqual([right, wrong].map(({ stderr }) => problemsIn(stderr())), [[], ["WRONGPASS"]])
        assert.notInclude(wrong.stderr(), "hunter")
      })
  )
})
