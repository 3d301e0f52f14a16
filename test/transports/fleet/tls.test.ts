/**
 * Connections between nodes over TLS: each node shows a certificate of the authority of the fleet.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { request, type RequestOptions } from "node:https"
import { authority, type Identity } from "../../fixtures/certificates.ts"
import { startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, post } from "../../fixtures/gateway.ts"
import { startLocalFleet } from "../../fixtures/localFleet.ts"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import { tcpProxy } from "../../fixtures/tcpProxy.ts"

const own = authority("fleet")
const other = authority("other")

const tlsOf = ({ cert, key }: Identity) => ({ ca: own.ca, cert, key: Redacted.make(key) })

const start = Effect.gen(function*() {
  const server = yield* startFleetServer
  const tls = tlsOf(own.issue("127.0.0.1"))
  return { server, ...(yield* startLocalFleet({ only: server.config }, { tls })) }
})

/** Sends a request to a node; gives the status of its response, or the code of the error. */
const send = (url: string, options: RequestOptions) =>
  Effect.callback<number | string>((resume) => {
    const sent = request(url, { ...options, method: "POST", agent: false }, ({ statusCode = 0 }) => {
      resume(Effect.succeed(statusCode))
      sent.destroy()
    })
    sent.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
    sent.end()
  })

describe("nodes with certificates of one authority", () => {
  it.live("hand on requests to each other", () =>
    Effect.gen(function*() {
      const { nodes: [owner, node] } = yield* start
      assert.isTrue(owner.hopUrl.startsWith("https://"))
      const { session } = yield* post(owner.url, initialize)
      assert.include((yield* post(node.url, call(1, "count"), { session })).text, "counted")
    }))

  it.live("take no connection without a certificate, with one of another authority, or with one that has expired", () =>
    Effect.gen(function*() {
      const { nodes: [{ hopUrl }] } = yield* start
      assert.strictEqual(yield* send(hopUrl, { ca: own.ca, ...own.issue("127.0.0.1") }), 404)
      const refused = yield* Effect.forEach(
        [{}, other.issue("127.0.0.1"), own.issueExpired("127.0.0.1")],
        (identity) => send(hopUrl, { ca: own.ca, ...identity })
      )
      for (const code of refused) assert.isString(code)
    }))

  for (
    const [what, identity] of [
      ["another authority", other.issue("127.0.0.1")],
      ["another address", own.issue("127.0.0.2")]
    ] as const
  ) {
    it.live(`send nothing to a program with a certificate of ${what}`, () =>
      Effect.gen(function*() {
        const { move, nodes: [node], server } = yield* start
        const { session } = yield* post(node.url, initialize)
        const program = yield* Http.start(() => false, identity)
        const proxy = yield* tcpProxy(Number(new URL(program.url).port))
        yield* move({ hopUrl: `https://127.0.0.1:${proxy.port}` })
        const calling = yield* Effect.forkChild(post(node.url, call(1, "count"), { session }))
        yield* until(proxy.accepted, (accepted) => accepted > 1)
        yield* move(node)
        // Nothing was sent, so the tool runs at the owner.
        assert.include((yield* Fiber.join(calling)).text, "counted")
        assert.lengthOf(program.ledger, 0)
        assert.strictEqual(server.count("POST tools/call count"), 1)
      }))
  }
})
