/**
 * Connections that close after any byte of a response.
 */
import { assert, describe, it } from "@effect/vitest"
import { Circuit, RetryPolicy, type ServerConfig, type Session, Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Effect, Layer } from "effect"
import { net } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import { tcpProxy } from "../../fixtures/tcpProxy.ts"

/** A session through a proxy, without retries and without a circuit. */
const through = <A, E>(
  config: typeof ServerConfig.ServerConfig.Encoded,
  port: number,
  use: (session: Session.Session) => Effect.Effect<A, E>
) => {
  if (config.transport === "stdio") return assert.fail("there is no network to a process")
  const url = new URL(String(config.url))
  url.port = String(port)
  return Effect.flatMap(Sessions.Sessions, (sessions) => sessions.get("s")).pipe(
    Effect.flatMap(use),
    Effect.scoped,
    Effect.provide(
      Layer.fresh(Sessions.layer({
        servers: { s: { ...config, protocol: "legacy", url: String(url) } as ServerConfig.ServerConfigInput },
        retry: RetryPolicy.never,
        circuit: Circuit.never
      })).pipe(Layer.provide(Transports.layer))
    )
  )
}

type Proxy = Effect.Success<ReturnType<typeof tcpProxy>>

const call = (session: Session.Session, id: string) =>
  Effect.map(session.callTool("echo", { message: "hello", id }), ({ content }) => JSON.stringify(content))

/** Measures the bytes of a response. Connection setup and the refusal of the server's own stream may add to those of one or two. */
const measure = Effect.fnUntraced(function*(session: Session.Session, proxy: Proxy) {
  const sizes = yield* Effect.forEach(["first", "second", "third"], (id) =>
    Effect.gen(function*() {
      const before = proxy.passed()
      yield* call(session, id)
      return proxy.passed() - before
    }))
  return Math.min(...sizes)
})

/** Runs a call with a cut response; it ends in time, with OutcomeUnknown or with the result. */
const cut = Effect.fnUntraced(function*(session: Session.Session, proxy: Proxy, bytes: number) {
  proxy.cutAfter(bytes)
  const end = yield* Effect.result(call(session, String(bytes)))
  proxy.heal()
  if (end._tag === "Success") assert.include(end.success, "hello")
  else assert.strictEqual(end.failure.reason._tag, "OutcomeUnknown", `after ${bytes} bytes: ${end.failure.message}`)
  return end._tag
})

describe.concurrent("a response that is cut off", () => {
  for (const kind of ["json", "sse"] as const) {
    it.live(`fails its call at once with a typed error for a cut after any byte, over HTTP as ${kind}, and the call runs once`, () =>
      Effect.gen(function*() {
        const ran: Array<unknown> = []
        const server = yield* Http.start(({ message, response }) => {
          if (message.method !== "tools/call") return false
          ran.push((message.params?.arguments as Record<string, unknown> | undefined)?.id)
          const answer = Http.toolResult(message.id, "hello")
          if (kind === "json") Http.json(response, answer)
          else {
            Http.stream(response, Http.event(answer))
            response.end()
          }
          return true
        })
        const proxy = yield* tcpProxy(Number(new URL(server.url).port))
        yield* through(
          { transport: "streamable_http", url: server.url },
          proxy.port,
          (session) =>
            Effect.gen(function*() {
              const size = yield* measure(session, proxy)
              const cuts = Array.from({ length: size }, (_, bytes) => bytes)
              const ends = yield* Effect.forEach(cuts, (bytes) => cut(session, proxy, bytes))
              // A call succeeds only if the cut removes no more than the end of the framing.
              assert.isAbove(ends.filter((end) => end === "Failure").length, size - 20)
              assert.deepStrictEqual(ran, ["first", "second", "third", ...cuts.map(String)])
              yield* call(session, "after")
              assert.strictEqual(yield* session.generation, 1)
            })
        )
      }).pipe(Effect.scoped))
  }

  for (const [kind, step] of [["websocket", 1], ["sse", 7]] as const) {
    it.live(`fails its call at once with a typed error for a cut after any byte, over ${kind}, and the next call reconnects`, () =>
      Effect.gen(function*() {
        const { config } = yield* net(kind, "v1").start
        if (config.transport === "stdio") return
        const proxy = yield* tcpProxy(Number(new URL(String(config.url)).port))
        const size = yield* through(config, proxy.port, (session) => measure(session, proxy))
        assert.isAbove(size, 50)
        for (let bytes = 0; bytes < size; bytes += step) {
          const end = yield* through(config, proxy.port, (session) =>
            Effect.gen(function*() {
              const end = yield* cut(session, proxy, bytes)
              // The next call may be the one that detects the loss.
              assert.include(yield* Effect.retry(call(session, "after"), { times: 1 }), "hello")
              assert.isAtMost(yield* session.generation, 2)
              return end
            }))
          if (kind === "websocket") assert.strictEqual(end, "Failure")
        }
      }).pipe(Effect.scoped))
  }
})
