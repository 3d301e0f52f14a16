/**
 * Responses of an owner, as they come to a client through another node. The test writes them in place of the owner.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, type Scope } from "effect"
import { request, type ServerResponse } from "node:http"
import { openStream, startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, post } from "../../fixtures/gateway.ts"
import { startLocalFleet } from "../../fixtures/localFleet.ts"
import { until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const read = (id: number) => ({ jsonrpc: "2.0", id, method: "resources/read", params: { uri: "note://1" } })

const progress = { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "p", progress: 1 } }

/** Starts a fleet whose sessions have an owner that the test scripts. */
const startOwner = (handle: (arrival: Http.Arrival) => void) =>
  Effect.gen(function*() {
    const server = yield* startFleetServer
    const { move, nodes: [node] } = yield* startLocalFleet({ only: server.config })
    const { session } = yield* post(node.url, initialize)
    const owner = yield* Http.start((arrival) => {
      handle(arrival)
      return true
    })
    yield* move({ hopUrl: owner.url })
    return { move, node, owner, server, session }
  })

const reasonIn = (text: string): unknown =>
  (JSON.parse(text) as { readonly error?: { readonly data?: { readonly reason?: string } } }).error?.data?.reason

describe("a response through another node", () => {
  it.live("goes on as a stream if it began at an owner that was lost", () =>
    Effect.gen(function*() {
      const { move, node, owner, session } = yield* startOwner(({ response }) =>
        Http.stream(response, Http.event(progress))
      )
      const reading = yield* Effect.forkChild(post(node.url, read(1), { session }))
      yield* until(() => owner.ledger.length, (count) => count === 1)
      yield* move(node)
      const { text, type } = yield* Fiber.join(reading)
      assert.include(type, "text/event-stream")
      assert.deepStrictEqual([text.split("progressToken").length, text.split("a note").length], [2, 2])
    }))

  it.live("ends with the state of the client, also if the next owner is known before", () =>
    Effect.gen(function*() {
      const responses: Array<ServerResponse> = []
      const { move, node, server, session } = yield* startOwner(({ response }) => {
        Http.stream(response, ": a comment\n\n")
        responses.push(response)
      })
      yield* openStream(node.url, session)
      yield* move(node)
      assert.include((yield* post(node.url, call(1, "count"), { session })).text, "counted")
      const state = JSON.stringify({ session: "before", subscriptions: ["note://1"] })
      responses[0]?.end(`event: state\ndata: ${state}\n\nevent: moved\ndata: {}\n\n`)
      yield* until(() => server.count("POST resources/subscribe"), (count) => count === 1)
    }))

  it.live("fails only those calls of a batch whose responses have not come", () =>
    Effect.gen(function*() {
      const { node, session } = yield* startOwner(({ response }) => {
        Http.stream(response, Http.event(Http.toolResult(1, "one")))
        setImmediate(() => response.destroy())
      })
      const { text } = yield* post(node.url, [call(1, "count"), call(2, "count")], { session })
      assert.deepStrictEqual([text.split("\"id\":1").length, text.split("\"id\":2").length], [2, 2])
      assert.include(text, "OutcomeUnknown")
    }))

  it.live("has each result once if an owner was lost between two of them", () =>
    Effect.gen(function*() {
      const { node, owner, session } = yield* startOwner(({ number, response }) => {
        const both = [Http.event(Http.result(1, {})), Http.event(Http.result(2, {}))]
        Http.stream(response, ...both.slice(0, number))
        setImmediate(() => number === 1 ? response.destroy() : response.end())
      })
      const { text } = yield* post(node.url, [read(1), read(2)], { session })
      assert.deepStrictEqual([text.split("\"id\":1").length, text.split("\"id\":2").length], [2, 2])
      assert.lengthOf(owner.ledger, 2)
    }))

  it.live("is whole if its owner was lost after the result and before the end", () =>
    Effect.gen(function*() {
      const { node, owner, session } = yield* startOwner(({ response }) => {
        Http.stream(response, Http.event(Http.toolResult(1, "one")))
        setImmediate(() => response.destroy())
      })
      const { text } = yield* post(node.url, call(1, "count"), { session })
      assert.notInclude(text, "error")
      assert.lengthOf(owner.ledger, 1)
    }))

  it.live("is not asked for again if it is larger than nodes pass on", () =>
    Effect.gen(function*() {
      const { node, owner, session } = yield* startOwner(({ response }) => {
        response.writeHead(200, { "content-type": "application/json" }).end(Buffer.alloc(65 * 1024 ** 2, "x"))
      })
      assert.strictEqual(reasonIn((yield* post(node.url, read(1), { session })).text), "MessageTooLarge")
      assert.lengthOf(owner.ledger, 1)
    }))

  it.live("comes from the next attempt if a program that is not the owner has refused the first", () =>
    Effect.gen(function*() {
      const { node, owner, session } = yield* startOwner(({ number, response }) => {
        if (number === 1) response.writeHead(404).end()
        else if (number === 2) response.writeHead(431).end()
        else Http.json(response, Http.toolResult(1, "one"))
      })
      const { status, text } = yield* post(node.url, call(1, "count"), { session })
      assert.strictEqual(status, 200)
      assert.include(text, "one")
      assert.lengthOf(owner.ledger, 3)
    }))

  it.live("says when the client may try again", () =>
    Effect.gen(function*() {
      const { node, session } = yield* startOwner(({ response }) => {
        response.writeHead(429, { "content-type": "application/json", "retry-after": "7" }).end("{}")
      })
      const { headers, status } = yield* post(node.url, call(1, "count"), { session })
      assert.deepStrictEqual([status, headers["retry-after"]], [429, "7"])
    }))

  it.live("keeps characters of several bytes, and separators, that arrive in pieces", () =>
    Effect.gen(function*() {
      const { node, session } = yield* startOwner(({ response }) => {
        const bytes = Buffer.from(`${Http.event(progress)}${Http.event(Http.toolResult(1, "größer €𐍈"))}`)
        response.writeHead(200, { "content-type": "text/event-stream" })
        const next = (at: number) => {
          if (at === bytes.length) return void response.end()
          response.write(bytes.subarray(at, at + 1), () => setImmediate(next, at + 1))
        }
        next(0)
      })
      const { text } = yield* post(node.url, call(1, "count"), { session })
      assert.strictEqual(text, `${Http.event(progress)}${Http.event(Http.toolResult(1, "größer €𐍈"))}`)
    }))
})

describe("a hop", () => {
  it.live("has room for all headers that a client may send", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const token = "the-token-of-a-long-name"
      const tokens = { ["long".repeat(500)]: Redacted.make(token) }
      const { nodes: [owner, other] } = yield* startLocalFleet({ only: server.config }, { tokens })
      const { session } = yield* post(owner.url, initialize, { token })
      // The seal of a hop names the principal, so it is longer than anything of the client that is not passed on.
      const headers = { "mcp-param-long": "x".repeat(15_000) }
      const { status, text } = yield* post(other.url, call(1, "count"), { session, token, headers })
      assert.strictEqual(status, 200)
      assert.include(text, "counted")
    }))

  it.live("is refused before its body has come if no node of the fleet has made it", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const { nodes: [{ hopUrl }] } = yield* startLocalFleet({ only: server.config })
      const send = (headers: Readonly<Record<string, string>>): Effect.Effect<number, never, Scope.Scope> =>
        Effect.acquireRelease(
          Effect.sync(() => request(hopUrl, { method: "POST", headers: { ...headers, "content-length": 1000 } })),
          (sent) => Effect.sync(() => sent.destroy())
        ).pipe(Effect.flatMap((sent) =>
          Effect.callback<number>((resume) => {
            sent.once("response", ({ statusCode = 0 }) => resume(Effect.succeed(statusCode)))
            sent.on("error", () => {})
            sent.flushHeaders()
          })
        ))
      const forged = { "x-mcp-sessions-hop": "A".repeat(400), "x-mcp-sessions-ticket": "A".repeat(400) }
      assert.deepStrictEqual([yield* send({}), yield* send(forged)], [404, 404])
    }))
})
