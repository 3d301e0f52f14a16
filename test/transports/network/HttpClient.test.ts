/**
 * HTTP clients that programs put in the place of the default one, or around it.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  type ConfigError,
  RetryPolicy,
  type ServerConfig,
  type Session,
  SessionError,
  Sessions
} from "@mcp-sessions/core"
import { HttpClient, Transports } from "@mcp-sessions/transports"
import { Context, Deferred, Effect, Fiber, Latch, Layer, Schedule, Stream } from "effect"
import { createHmac } from "node:crypto"
import { readWhole } from "../../../packages/transports/src/internal/network/wholeResponse.ts"
import { openSessions } from "../../fixtures/authorized.ts"
import * as Auth from "../../fixtures/authServer.ts"
import * as Guarded from "../../fixtures/guardedHttp.ts"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"

type Respond = Parameters<typeof HttpClient.make>[0]

/** What a request asks for. */
interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly name?: string }
}

const messageOf = ({ body }: HttpClient.HttpRequest): Message => body === null ? {} : JSON.parse(body)

const json = (body: unknown) => ({
  status: 200,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body)
})

const initialized = ({ id }: Message) =>
  json(Http.result(id, {
    protocolVersion: "2025-11-25",
    capabilities: { tools: {} },
    serverInfo: { name: "fake", version: "1" }
  }))

/** A server of the legacy era that answers tool calls as the test says. */
const server =
  (call: (message: Message, request: HttpClient.HttpRequest) => ReturnType<Respond>): Respond => (request) => {
    const message = messageOf(request)
    if (message.method === "initialize") return Effect.succeed(initialized(message))
    if (message.method === "tools/call") return call(message, request)
    return Effect.succeed({ status: request.method === "POST" ? 202 : 405, headers: {}, body: "" })
  }

const use = <A, E, R = never>(
  client: Layer.Layer<never>,
  f: (session: Session.Session) => Effect.Effect<A, E, R>,
  config: Partial<Omit<ServerConfig.StreamableHttpServerInput, "transport">> & {
    readonly transport?: "sse" | "streamable_http"
  } = {}
) =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")).pipe(
    Effect.flatMap(f),
    Effect.scoped,
    Effect.provide(
      Sessions.layer({
        servers: {
          s: {
            transport: "streamable_http",
            url: "https://mcp.test/mcp",
            healthInterval: 0,
            ...config.transport === "sse" ? {} : { protocol: "legacy" as const },
            ...config
          } as ServerConfig.ServerConfigInput
        },
        retry: RetryPolicy.never
      }).pipe(
        Layer.provide(Transports.layer),
        Layer.provide(client)
      )
    )
  )

/** Retries without a delay. */
const atOnce: RetryPolicy.RetryPolicy = Schedule.recurs(3)

/** A layer of a client that answers by an effect. */
const made = (respond: Respond) => Layer.succeed(HttpClient.HttpClient, HttpClient.make(respond))

const wrapping = (f: (client: HttpClient.HttpClient) => HttpClient.HttpClient) =>
  Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, f))

type Live = Layer.Layer<Sessions.Sessions, ConfigError.ConfigError>

const reasonOf = <A, R>(effect: Effect.Effect<A, SessionError.SessionError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("an HTTP client of the program", () => {
  it.live("answers all requests of a session, without a socket", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const client = made((request, { maxConnections, purpose, url }) => {
        assert.deepStrictEqual([purpose, url], ["server", "https://mcp.test/mcp"])
        assert.isAbove(maxConnections, 64)
        const { method, origin, path } = request
        seen.push(`${method} ${origin}${path} ${messageOf(request).method ?? ""}`.trim())
        return server(({ id }) => Effect.succeed(json(Http.toolResult(id, "sunny"))))(request, {} as never)
      })
      const { content } = yield* use(client, (session) => session.callTool("today"))
      assert.deepStrictEqual(content, [{ type: "text", text: "sunny" }])
      assert.includeMembers(seen, [
        "POST https://mcp.test/mcp initialize",
        "POST https://mcp.test/mcp notifications/initialized",
        "GET https://mcp.test/mcp",
        "POST https://mcp.test/mcp tools/call"
      ])
    }))

  it.live("streams the events of a response as they come", () =>
    Effect.gen(function*() {
      const rest = yield* Latch.make()
      const progress: Array<number> = []
      const client = made(server(({ id, params }) => {
        const token = (params as { _meta?: { progressToken?: number } })._meta?.progressToken
        const events = [
          Stream.make(Http.event({
            jsonrpc: "2.0",
            method: "notifications/progress",
            params: { progressToken: token, progress: 1 }
          })),
          Stream.fromEffect(Effect.as(rest.await, Http.event(Http.toolResult(id, "done"))))
        ]
        return Effect.succeed({
          status: 200,
          headers: { "content-type": "text/event-stream" },
          body: Stream.encodeText(Stream.concat(...events as [Stream.Stream<string>, Stream.Stream<string>]))
        })
      }))
      yield* use(client, (session) =>
        session.callTool("slow", {}, {
          onProgress: ({ progress: at }) => {
            progress.push(at)
            return rest.open
          }
        }))
      assert.deepStrictEqual(progress, [1])
    }))

  it.live("stays within the limits of the definition: a body that is too large is read no further", () =>
    Effect.gen(function*() {
      const ended = yield* Deferred.make<void>()
      let chunks = 0
      const client = made(server(() =>
        Effect.succeed({
          status: 200,
          headers: { "content-type": "application/json" },
          body: Stream.forever(Stream.sync(() => {
            chunks++
            return new Uint8Array(1024).fill(0x20)
          })).pipe(Stream.ensuring(Deferred.succeed(ended, undefined)))
        })
      ))
      const reason = yield* use(
        client,
        (session) => reasonOf(session.callTool("huge")),
        { maxMessageBytes: 64 * 1024 }
      )
      assert.strictEqual(reason._tag, "OutcomeUnknown")
      yield* Deferred.await(ended)
      assert.isAtMost(chunks, 70)
    }))

  it.live("is interrupted with the call, and its scope closes", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<void>()
      const client = made(server(() =>
        Effect.addFinalizer(() => Deferred.succeed(closed, undefined)).pipe(
          Effect.andThen(Deferred.succeed(asked, undefined)),
          Effect.andThen(Effect.never)
        )
      ))
      yield* use(client, (session) =>
        Effect.gen(function*() {
          const call = yield* Effect.forkChild(session.callTool("slow"))
          yield* Deferred.await(asked)
          yield* Fiber.interrupt(call)
          yield* Deferred.await(closed)
        }))
    }))

  it.live("does not hold up the close, though what it runs cannot be interrupted", () =>
    Effect.gen(function*() {
      for (const isWrapper of [false, true]) {
        const started = Deferred.makeUnsafe<void>()
        const stuck = Effect.uninterruptible(Effect.andThen(Deferred.succeed(started, undefined), Effect.never))
        const answering = HttpClient.make(server(() => isWrapper ? Effect.succeed(json({})) : stuck))
        const client = HttpClient.intercept(answering, (request) =>
          isWrapper && messageOf(request).method === "tools/call" ? stuck : Effect.succeed({}))
        yield* use(
          Layer.succeed(HttpClient.HttpClient, client),
          (session) =>
            Effect.raceFirst(session.callTool("tool"), Deferred.await(started))
        )
      }
    }))

  it.live("does not read on while the session has more than it can take", () =>
    Effect.gen(function*() {
      const connections = yield* HttpClient.make(() =>
        Effect.succeed({ status: 200, headers: {}, body: Stream.make(...["a", "b"].map((t) => Buffer.from(t))) })
      ).open({} as never)
      const chunks: Array<string> = []
      const atPause: Array<string> = []
      const end = yield* Deferred.make<void>()
      yield* Effect.callback<void>((resume) => {
        connections.send(
          { origin: "https://mcp.test", path: "/", method: "GET", headers: [], body: null, isStream: false },
          {
            onRequestStart: () => {},
            onResponseStart: () => {},
            onResponseData: (controller, chunk) => {
              chunks.push(Buffer.from(chunk).toString())
              if (chunks.length > 1) return
              controller.pause()
              setImmediate(() => {
                atPause.push(...chunks)
                controller.resume()
                resume(Effect.void)
              })
            },
            onResponseEnd: () => void Deferred.doneUnsafe(end, Effect.void),
            onResponseError: () => {}
          }
        )
      })
      yield* Deferred.await(end)
      assert.deepStrictEqual([atPause, chunks], [["a"], ["a", "b"]])
    }).pipe(Effect.scoped))

  for (
    const [title, failure, tag, runs] of [
      [
        "was not sent is sent again",
        Effect.fail(new SessionError.ConnectionRefused({ address: "mcp.test", code: "ECONNREFUSED" })),
        undefined,
        2
      ],
      [
        "broke off is not sent again",
        Effect.fail(new SessionError.TransportFailed({ description: "reset", delivery: "Unknown" })),
        "OutcomeUnknown",
        1
      ],
      ["died with the client is not sent again", Effect.die(new Error("a bug")), "OutcomeUnknown", 1],
      [
        "has a response that broke off is not sent again, whatever the client says of it",
        Effect.succeed({
          status: 200,
          headers: { "content-type": "application/json" },
          body: Stream.fail(new SessionError.ConnectionRefused({ address: "mcp.test", code: "ECONNREFUSED" }))
        }),
        "OutcomeUnknown",
        1
      ]
    ] as const
  ) {
    it.live(`fails typed: a tool call that ${title}`, () =>
      Effect.gen(function*() {
        let calls = 0
        const client = made(
          server(({ id }) => ++calls === 1 ? failure : Effect.succeed(json(Http.toolResult(id, "ok"))))
        )
        const exit = yield* use(client, (session) =>
          Effect.match(session.callTool("charge", {}, { retry: atOnce }), {
            onFailure: (error) => error._tag === "SessionError" ? error.reason._tag : error._tag,
            onSuccess: () => undefined
          }))
        assert.deepStrictEqual([exit, calls], [tag, runs])
      }))
  }

  it.live("answers the requests of an SSE server, too", () =>
    Effect.gen(function*() {
      const events = yield* Effect.sync(() => new TransformStream<Uint8Array, Uint8Array>())
      const writer = events.writable.getWriter()
      const tell = (text: string) => void writer.write(Buffer.from(text))
      const client = made((request) => {
        if (request.method === "GET") {
          assert.isTrue(request.isStream)
          tell("event: endpoint\ndata: /post\n\n")
          return Effect.succeed({
            status: 200,
            headers: { "content-type": "text/event-stream" },
            body: Stream.fromReadableStream({
              evaluate: () => events.readable,
              onError: () => new SessionError.TransportFailed({ description: "reset", delivery: "Unknown" })
            })
          })
        }
        assert.deepStrictEqual([request.path, request.isStream], ["/post", false])
        const message = messageOf(request)
        if (message.method === "initialize") tell(`data: ${initialized(message).body}\n\n`)
        if (message.method === "tools/call") tell(Http.event(Http.toolResult(message.id, "ok")))
        return Effect.succeed({ status: 202, headers: {}, body: "" })
      })
      const { content } = yield* use(client, (session) => session.callTool("any"), { transport: "sse" })
      assert.deepStrictEqual(content, [{ type: "text", text: "ok" }])
    }))

  it.live("is not asked for hosts that are not public, where the definition forbids them", () =>
    Effect.gen(function*() {
      let asked = 0
      const client = made(() => Effect.sync(() => ({ status: 200, headers: {}, body: String(asked++) })))
      for (const host of ["127.0.0.1", "169.254.169.254", "metadata.internal"]) {
        const url = `http://${host}/mcp`
        const error = yield* Effect.flip(use(client, () => Effect.void, { url, addresses: "public" }))
        assert.deepInclude(error, { _tag: "SessionError", reason: new SessionError.BlockedAddress({ host }) })
      }
      assert.strictEqual(asked, 0)
    }))

  it.live("is followed to redirects within the origin alone, and gets the cookies of the session", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const client = made((request) => {
        const { headers, origin, path } = request
        const at = headers.indexOf("cookie")
        seen.push(`${origin}${path} ${at < 0 ? "" : headers[at + 1]}`.trim())
        if (path === "/mcp") {
          return Effect.succeed({ status: 307, headers: { location: "/real", "set-cookie": "a=1; Path=/" }, body: "" })
        }
        return server(() =>
          Effect.succeed({ status: 307, headers: { location: "https://other.test/steal" }, body: "" })
        )(request, {} as never)
      })
      const reason = yield* use(client, (session) => reasonOf(session.callTool("any")), { cookies: true })
      assert.deepInclude(reason, { _tag: "HttpFailed", status: 307 })
      assert.deepStrictEqual([...new Set(seen)], ["https://mcp.test/mcp", "https://mcp.test/real a=1"])
    }))

  it.live("is the one that each layer of transports was built with", () =>
    Effect.gen(function*() {
      const fake = (text: string) => made(server(({ id }) => Effect.succeed(json(Http.toolResult(id, text)))))
      class Other extends Context.Service<Other, Sessions.Sessions["Service"]>()(
        "@mcp-sessions/test/transports/network/HttpClient.test/Other"
      ) {}
      const sessions = Sessions.layer({ servers: { s: { url: "https://mcp.test/mcp", protocol: "legacy" } } })
      const [one, other] = ["one", "other"].map((text) =>
        Layer.fresh(sessions).pipe(Layer.provide(Transports.layer), Layer.provide(fake(text)))
      ) as [Live, Live]
      const both = Layer.merge(one, Layer.provide(Layer.effect(Other, Sessions.Sessions), other))
      const texts = yield* Effect.gen(function*() {
        const results = yield* Effect.all([
          Effect.flatMap(Sessions.Sessions, ({ callTool }) => callTool("s", "any")),
          Effect.flatMap(Other, ({ callTool }) => callTool("s", "any"))
        ])
        return results.map(({ content }) => content)
      }).pipe(Effect.provide(both))
      assert.deepStrictEqual(texts, [[{ type: "text", text: "one" }], [{ type: "text", text: "other" }]])
    }))
})

const key = "key of the gateway"

const signatureOf = (method: string, path: string, body: string) =>
  createHmac("sha256", key).update(`${method} ${path}\n${body}`).digest("hex")

/** Signs what is sent, as gateways of clouds ask for. */
const sign = HttpClient.intercept((request) =>
  Effect.promise(async () => ({
    request: {
      ...request,
      headers: [...request.headers, "x-signature", signatureOf(request.method, request.path, request.body ?? "")]
    }
  }))
)

describe("an HTTP client that is wrapped", () => {
  it.live("signs every request of a session over real sockets: POST, GET and DELETE", () =>
    Effect.gen(function*() {
      const refused: Array<string> = []
      const scripted = yield* Http.start(({ message, request, response }) => {
        const body = request.method === "POST" ? JSON.stringify(message) : ""
        if (request.headers["x-signature"] === signatureOf(request.method ?? "", request.url ?? "", body)) return false
        refused.push(`${request.method} ${body}`)
        response.writeHead(400).end()
        return true
      })
      const { content } = yield* use(wrapping(sign), (session) => session.callTool("any"), { url: scripted.url })
      assert.deepStrictEqual(content, [{ type: "text", text: "ok" }])
      yield* until(() => scripted.count("DELETE"), (count) => count === 1)
      assert.deepStrictEqual(refused, [])
      assert.isAbove(scripted.count("GET"), 0)
      yield* until(scripted.sockets, (sockets) => sockets === 0)
    }).pipe(Effect.scoped))

  it.live("signs the stream and the posts of SSE", () =>
    Effect.gen(function*() {
      const unsigned: Array<string> = []
      const scripted = yield* Sse.start(({ request }) => {
        if (request.headers["x-signature"] === undefined) unsigned.push(request.method ?? "")
        return false
      })
      yield* use(wrapping(sign), (session) => session.callTool("any"), { url: scripted.url, transport: "sse" })
      assert.deepStrictEqual(unsigned, [])
    }).pipe(Effect.scoped))

  it.live("sees the requests of sign-ins, which go to connections of their own", () =>
    Effect.gen(function*() {
      const auth = yield* Auth.start
      const guarded = yield* Guarded.start(auth)
      const { hostname } = new URL(guarded.url)
      const seen: Array<string> = []
      const client = yield* HttpClient.HttpClient
      const watched: HttpClient.HttpClient = {
        open: (options) =>
          HttpClient.intercept(client, ({ origin, path }) =>
            Effect.sync(() => {
              seen.push(`${options.purpose} ${new URL(origin).hostname === hostname ? path.split("?", 1)[0] : origin}`)
              return {}
            })).open(options)
      }
      const sessions = yield* Effect.provideService(
        openSessions({ url: guarded.url }),
        HttpClient.HttpClient,
        watched
      )
      yield* sessions.callTool("s", "t")
      assert.strictEqual(guarded.ran.length, 1)
      assert.includeMembers(seen, ["server /mcp", "authorization /register", "authorization /token"])
    }).pipe(Effect.scoped))

  it.live("sees the head and the end of each response", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const watch = HttpClient.intercept((request) =>
        Effect.sync(() => {
          const { method } = messageOf(request)
          return {
            onResponse: ({ headers, status }) => void seen.push([method, status, headers["content-type"]]),
            onEnd: (error) => void seen.push([method, error === undefined ? "ended" : "failed"])
          }
        })
      )
      const scripted = yield* Http.start(({ message, request }) => {
        if (message.params?.name === "reset") request.socket.destroy()
        return message.params?.name === "reset"
      })
      yield* use(wrapping(watch), (session) =>
        Effect.andThen(session.callTool("any"), Effect.flip(session.callTool("reset"))), { url: scripted.url })
      assert.deepStrictEqual(
        seen.filter((line) =>
          Array.isArray(line) && line[0] === "tools/call"
        ),
        [
          ["tools/call", 200, "application/json"],
          ["tools/call", "ended"],
          ["tools/call", "failed"]
        ]
      )
    }).pipe(Effect.scoped))

  it.live("learns of requests that the session aborts", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const ends: Array<string> = []
      const watch = HttpClient.intercept((request) =>
        Effect.succeed(
          messageOf(request).method === "tools/call" ? { onEnd: (error) => void ends.push(String(error)) } : {}
        )
      )
      const fake = HttpClient.make(server(() => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never)))
      yield* use(Layer.succeed(HttpClient.HttpClient, watch(fake)), (session) =>
        Effect.gen(function*() {
          const call = yield* Effect.forkChild(session.callTool("slow"))
          yield* Deferred.await(asked)
          yield* Fiber.interrupt(call)
        }))
      assert.strictEqual(ends.length, 1)
      assert.notStrictEqual(ends[0], "undefined")
    }))

  it.live("interrupts the wrappers of a call that is interrupted or takes too long", () =>
    Effect.gen(function*() {
      for (const isTooLong of [false, true]) {
        for (const nesting of [0, 1]) {
          const started = yield* Deferred.make<void>()
          const interrupted = yield* Deferred.make<void>()
          const ends: Array<string> = []
          const slow = HttpClient.intercept((request) =>
            messageOf(request).method !== "tools/call"
              ? Effect.succeed({})
              : Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
                Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
              )
          )
          const above = HttpClient.intercept((request) =>
            Effect.succeed(
              messageOf(request).method === "tools/call" ? { onEnd: (error) => void ends.push(String(error)) } : {}
            )
          )
          const client = slow(HttpClient.make(server(() => Effect.die("the call was sent"))))
          yield* use(Layer.succeed(HttpClient.HttpClient, nesting === 1 ? above(client) : client), (session) =>
            Effect.gen(function*() {
              const call = yield* Effect.forkChild(
                Effect.exit(session.callTool("slow", {}, isTooLong ? { timeout: "50 millis" } : {}))
              )
              yield* Deferred.await(started)
              if (!isTooLong) {
                yield* Fiber.interrupt(call)
              }
              yield* Deferred.await(interrupted)
            }))
          assert.strictEqual(ends.length, nesting)
          assert.notInclude(ends, "undefined")
        }
      }
    }))

  it.live("sends nothing of a call that is over, though the wrapper cannot be interrupted", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const release = yield* Latch.make()
      const ended = yield* Deferred.make<void>()
      const stuck = HttpClient.intercept((request) =>
        messageOf(request).params?.name !== "charge"
          ? Effect.succeed({})
          : Effect.andThen(Deferred.succeed(started, undefined), release.await).pipe(
            Effect.andThen(Deferred.succeed(ended, undefined)),
            Effect.as({}),
            Effect.uninterruptible
          )
      )
      const scripted = yield* Http.start(() => false)
      yield* use(wrapping(stuck), (session) =>
        Effect.gen(function*() {
          const call = yield* Effect.forkChild(session.callTool("charge"))
          yield* Deferred.await(started)
          yield* Fiber.interrupt(call)
          yield* release.open
          yield* Deferred.await(ended)
          yield* session.callTool("after")
        }), { url: scripted.url })
      assert.deepStrictEqual(
        [scripted.count("POST tools/call charge"), scripted.count("POST tools/call after")],
        [0, 1]
      )
    }).pipe(Effect.scoped))

  it.live("is interrupted where it keeps a request of a sign-in longer than that may take", () =>
    Effect.gen(function*() {
      const interrupted = yield* Deferred.make<void>()
      const slow = HttpClient.intercept(
        HttpClient.make(() => Effect.die("the request was sent")),
        () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      )
      const connections = yield* slow.open({} as never)
      const request: HttpClient.HttpRequest = {
        origin: "https://as.test",
        path: "/",
        method: "GET",
        headers: [],
        body: null,
        isStream: false
      }
      const read = yield* Effect.forkChild(
        Effect.flip(Effect.tryPromise(() => readWhole({ connections, request, timeout: 10, maxBytes: 10 })))
      )
      yield* Deferred.await(interrupted)
      yield* Fiber.join(read)
    }).pipe(Effect.scoped))

  it.live("sends nothing where the wrapper fails, and the call may be made again", () =>
    Effect.gen(function*() {
      const scripted = yield* Http.start(() => false)
      let failures = 0
      const broken = HttpClient.intercept((request) => {
        if (messageOf(request).method !== "tools/call" || failures === 2) return Effect.succeed({})
        return failures++ === 0
          ? new SessionError.TransportFailed({ description: "no key", delivery: "NotSent" })
          : Effect.die(new Error("a bug"))
      })
      yield* use(wrapping(broken), (session) => session.callTool("charge", {}, { retry: atOnce }), {
        url: scripted.url
      })
      assert.deepStrictEqual([failures, scripted.count("POST tools/call charge")], [2, 1])
    }).pipe(Effect.scoped))

  it.live("is not harmed by functions of the wrapper that throw", () =>
    Effect.gen(function*() {
      const bug = () => {
        throw new Error("a bug")
      }
      const scripted = yield* Http.start(() => false)
      const bad = HttpClient.intercept(() => Effect.succeed({ onResponse: bug, onEnd: bug }))
      const { content } = yield* use(wrapping(bad), (session) => session.callTool("any"), { url: scripted.url })
      assert.deepStrictEqual(content, [{ type: "text", text: "ok" }])
    }).pipe(Effect.scoped))

  it.live("fails typed where the wrapper gives nothing", () =>
    Effect.gen(function*() {
      const nothing = HttpClient.intercept(
        (() => Effect.void) as unknown as () => Effect.Effect<HttpClient.Interception>
      )
      const scripted = yield* Http.start(() => false)
      const error = yield* Effect.flip(use(wrapping(nothing), () => Effect.void, { url: scripted.url }))
      assert(error._tag === "SessionError" && error.reason._tag === "TransportFailed")
      assert.strictEqual(error.delivery, "NotSent")
    }).pipe(Effect.scoped))

  it.live("sends no request to a host that the definition forbids", () =>
    Effect.gen(function*() {
      const scripted = yield* Http.start(() => false)
      const elsewhere = HttpClient.intercept((request) =>
        Effect.succeed({ request: { ...request, origin: new URL(scripted.url).origin } })
      )
      const error = yield* Effect.flip(
        use(wrapping(elsewhere), () => Effect.void, { url: "http://192.0.43.8/mcp", addresses: "public" })
      )
      assert(error._tag === "SessionError" && error.reason._tag === "BlockedAddress")
      assert.strictEqual(error.reason.host, "127.0.0.1")
    }).pipe(Effect.scoped))

  it.live("nests: the layer on top sees the request first", () =>
    Effect.gen(function*() {
      const mark = (name: string) =>
        wrapping(HttpClient.intercept((request) =>
          Effect.succeed({ request: { ...request, headers: [...request.headers, "x-mark", name] } })
        ))
      const scripted = yield* Http.start(() =>
        false
      )
      yield* use(Layer.provide(mark("first"), mark("second")), (session) => session.ping, { url: scripted.url })
      assert.deepStrictEqual(scripted.ledger.at(0)?.headers["x-mark"], "first, second")
    }).pipe(Effect.scoped))
})
