/**
 * Sessions over the HTTP client of Effect. `test/Session.test.ts` runs the whole suite over it.
 */
import { assert, describe, it } from "@effect/vitest"
import { RetryPolicy, type Session, Sessions } from "@mcp-sessions/core"
import { EffectHttpClient, Transports } from "@mcp-sessions/transports"
import { Deferred, Effect, Fiber, Layer, Tracer } from "effect"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import * as Http from "../../fixtures/scriptedHttp.ts"

const use = <A, E>(
  url: string,
  f: (session: Session.Session) => Effect.Effect<A, E>,
  options: {
    readonly client?: Layer.Layer<HttpClient.HttpClient>
    readonly addresses?: "public"
    readonly cookies?: boolean
  } = {}
) => {
  const { client = FetchHttpClient.layer, ...keys } = options
  return Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")).pipe(
    Effect.flatMap(f),
    Effect.scoped,
    Effect.provide(
      Sessions.layer({
        servers: { s: { transport: "streamable_http", protocol: "legacy", url, healthInterval: 0, ...keys } },
        retry: RetryPolicy.never
      }).pipe(
        Layer.provide(Transports.layer),
        Layer.provide(EffectHttpClient.layer),
        Layer.provide(client)
      )
    )
  )
}

const wrapped = (f: (client: HttpClient.HttpClient) => HttpClient.HttpClient) =>
  Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, f)).pipe(Layer.provide(FetchHttpClient.layer))

describe("the HTTP client of Effect", () => {
  it.live("sends the requests of a session, and leaves redirects to another origin alone, also with fetch", () =>
    Effect.gen(function*() {
      const other = yield* Http.start(() => false)
      const server = yield* Http.start(({ message, response }) => {
        if (message.params?.name !== "away") return false
        response.writeHead(307, { location: other.url }).end()
        return true
      })
      const error = yield* use(
        server.url,
        (session) => Effect.andThen(session.callTool("any"), Effect.flip(session.callTool("away")))
      )
      assert.deepInclude(error.reason, { _tag: "HttpFailed", status: 307, delivery: "Rejected" })
      assert.deepStrictEqual(other.ledger, [])
    }).pipe(Effect.scoped))

  it.live("passes on the cookies of responses, with their attributes", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ message, response }) => {
        if (message.method === "initialize") response.setHeader("set-cookie", ["a=1; Path=/", "b=2; Path=/elsewhere"])
        return false
      })
      yield* use(server.url, (session) => session.callTool("any"), { cookies: true })
      const call = server.ledger.find(({ what }) => what === "POST tools/call any")
      assert.strictEqual(call?.headers.cookie, "a=1")
    }).pipe(Effect.scoped))

  it.live("aborts the request of an interrupted call", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const aborted = yield* Deferred.make<void>()
      const server = yield* Http.start(({ message, response }) => {
        if (message.params?.name !== "slow") return false
        Deferred.doneUnsafe(asked, Effect.void)
        response.on("close", () => Deferred.doneUnsafe(aborted, Effect.void))
        return true
      })
      yield* use(server.url, (session) =>
        Effect.gen(function*() {
          const call = yield* Effect.forkChild(session.callTool("slow"))
          yield* Deferred.await(asked)
          yield* Fiber.interrupt(call)
          yield* Deferred.await(aborted)
        }))
    }).pipe(Effect.scoped))

  it.live("says that nothing was sent where nobody listens, and leaves open what a reset means", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(use("http://127.0.0.1:2/mcp", () => Effect.void))
      assert(refused._tag === "SessionError")
      assert.deepInclude(refused.reason, { _tag: "ConnectionRefused", code: "ECONNREFUSED" })
      const server = yield* Http.start(({ message, request }) => {
        if (message.params?.name === "reset") request.socket.destroy()
        return message.params?.name === "reset"
      })
      const reset = yield* use(server.url, (session) => Effect.flip(session.callTool("reset")))
      assert.strictEqual(reset.reason._tag, "OutcomeUnknown")
      assert.strictEqual(server.count("POST tools/call reset"), 1)
    }).pipe(Effect.scoped))

  it.live("may fail responses for their status: the transport reads them all the same", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ message, response }) => {
        if (message.params?.name !== "busy") return false
        response.writeHead(429, { "retry-after": "7" }).end()
        return true
      })
      const strict = wrapped((client) => HttpClient.filterStatusOk(client))
      const error = yield* use(server.url, (session) => Effect.flip(session.callTool("busy")), { client: strict })
      assert.deepInclude(error.reason, { _tag: "HttpFailed", status: 429, retryAfter: "7", delivery: "Rejected" })
    }).pipe(Effect.scoped))

  it.live("makes no spans, which would show URLs and headers", () =>
    Effect.gen(function*() {
      const names: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          names.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      const server = yield* Http.start(() => false)
      yield* Effect.withTracer(use(server.url, (session) => session.callTool("any")), tracer)
      assert.isAbove(names.length, 0)
      assert.deepStrictEqual(names.filter((name) => /http/i.test(name)), [])
    }).pipe(Effect.scoped))

  it.live("is not asked under a policy of public addresses, which it does not check", () =>
    Effect.gen(function*() {
      let asked = 0
      const client = Layer.succeed(
        HttpClient.HttpClient,
        HttpClient.make((request) => {
          asked++
          return Effect.succeed(HttpClientResponse.fromWeb(request, new Response()))
        })
      )
      const error = yield* Effect.flip(use("https://mcp.test/mcp", () => Effect.void, { client, addresses: "public" }))
      assert(error._tag === "SessionError")
      assert.deepInclude(error.reason, { _tag: "BlockedAddress", host: "mcp.test" })
      assert.strictEqual(asked, 0)
    }))
})
