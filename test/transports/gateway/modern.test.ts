/**
 * Clients of revision 2026-07-28 at a gateway, which have no session, over servers of both eras.
 */
import { assert, describe, it } from "@effect/vitest"
import { Sessions } from "@mcp-sessions/core"
import { Transports } from "@mcp-sessions/transports"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { Effect, Exit, Fiber, Layer, Queue, Redacted, Schedule, Scope, Stream } from "effect"
import { type IncomingMessage, request } from "node:http"
import { serveAsking } from "../../fixtures/askingHttp.ts"
import { post, startGateway, textOf } from "../../fixtures/gateway.ts"
import { http, stdio, until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

/** Connects a client of SDK v2 that answers every form with a name, until the scope closes. */
const connectV2 = (url: string, name = "Ada") =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ name: "v2", version: "1" }, {
        versionNegotiation: { mode: "auto" },
        capabilities: { elicitation: { form: {} } }
      })
      client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name } }))
      await client.connect(new StreamableHTTPClientTransport(new URL(url)))
      return client
    }),
    (client) => Effect.promise(() => client.close())
  )

const meta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "bare", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {}
}

const headersOf = (method: string, name?: string) => ({
  "mcp-protocol-version": "2026-07-28",
  "mcp-method": method,
  ...(name === undefined ? {} : { "mcp-name": name })
})

const protocolPrefix = "io.modelcontextprotocol/"

const modern = (method: string, params: object = {}, more: object = {}) => ({
  jsonrpc: "2.0",
  id: 1,
  method,
  params: { ...params, _meta: { ...meta, ...more } }
})

/** Sends a request, and keeps its response open until the scope closes. */
const openResponse = (url: string, message: ReturnType<typeof modern>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly response: IncomingMessage; readonly close: () => void }>((resume) => {
        const headers = {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...headersOf(message.method)
        }
        const sent = request(url, { method: "POST", agent: false, headers }, (response) => {
          response.on("error", () => {}).resume()
          resume(Effect.succeed({ response, close: () => void sent.destroy() }))
        })
        sent.on("error", () => {})
        sent.end(JSON.stringify(message))
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ response }) => response
  )

describe("a client of 2026-07-28", () => {
  it.live("reads a resource without a session", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { exclude: ["only/vague"] })
      const client = yield* connectV2(url)
      assert.strictEqual(client.getProtocolEra(), "modern")
      const { contents } = yield* Effect.promise(() => client.readResource({ uri: "note://1" }))
      assert.strictEqual(contents[0]?.uri, "note://1")
    }))

  for (const protocol of ["legacy", "2026-07-28"] as const) {
    it.live(`is asked in the result of the call that a server of ${protocol} asks about`, () =>
      Effect.gen(function*() {
        const { url } = yield* startGateway({ only: { url: yield* serveAsking, protocol } })
        const said = yield* Effect.forEach(["Ada", "Bob"], (name) =>
          Effect.gen(function*() {
            const client = yield* connectV2(url, name)
            const results = yield* Effect.promise(() =>
              Promise.all(["ask", "ask-too", "ask"].map((tool) => client.callTool({ name: tool })))
            )
            return results.map(textOf)
          }), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          said,
          ["Ada", "Bob"].map((name) =>
            Array.from({ length: 3 }, () => JSON.stringify({ action: "accept", content: { name } }))
          )
        )
      }))
  }

  it.live("cancels a call by ending its request", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const calling = yield* Effect.forkChild(post(
        url,
        modern("tools/call", { name: "hang", arguments: { id: "1" } }),
        { headers: headersOf("tools/call", "hang") }
      ))
      yield* until(() => ledger("hang"), (ids) => ids.includes("1"))
      yield* Fiber.interrupt(calling)
      yield* until(() => ledger("cancelled"), (ids) => ids.includes("1"))
    }))

  it.live("listens to changes of lists and resources", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config }, { exclude: ["only/vague"] })
      const changes = yield* Queue.unbounded<string>()
      yield* Effect.gen(function*() {
        const session = yield* Effect.flatMap(Sessions.Sessions, ({ get }) => get("gateway"))
        assert.strictEqual((yield* session.connect).era, "modern")
        yield* Effect.forkChild(
          Stream.runForEach(session.subscribe("note://1"), ({ _tag }) => Queue.offer(changes, _tag)),
          { startImmediately: true }
        )
        assert.strictEqual(yield* Queue.take(changes), "Listening")
        // The subscription at the server follows that at the gateway: the change is repeated until it is noticed.
        const changing = session.callTool("change", { uri: "note://1" })
        yield* Effect.raceFirst(Effect.forever(changing), Queue.take(changes))
      }).pipe(
        Effect.scoped,
        Effect.provide(Sessions.layer({ servers: { gateway: { url } } }).pipe(Layer.provide(Transports.layer)))
      )
    }))

  it.live("is refused with a revision or headers that do not fit the body, before a server hears of it", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const body = modern("tools/call", { name: "count", arguments: { id: "1" } })
      const codeOf = (headers: Readonly<Record<string, string>>, message: object = body) =>
        Effect.map(post(url, message, { headers }), ({ status, text }) => [status, JSON.parse(text).error?.code])
      assert.deepStrictEqual(yield* codeOf(headersOf("tools/call", "echo")), [400, -32020])
      assert.deepStrictEqual(yield* codeOf(headersOf("tools/list", "count")), [400, -32020])
      assert.deepStrictEqual(yield* codeOf({}), [400, -32020])
      const later = {
        ...body,
        params: { ...body.params, _meta: { ...meta, "io.modelcontextprotocol/protocolVersion": "2030-01-01" } }
      }
      assert.deepStrictEqual(yield* codeOf(headersOf("tools/call", "count"), later), [400, -32020])
      const ahead = { ...headersOf("tools/call", "count"), "mcp-protocol-version": "2030-01-01" }
      assert.deepStrictEqual(yield* codeOf(ahead, later), [400, -32022])
      const bare = { ...body, params: { name: "count" } }
      assert.deepStrictEqual(yield* codeOf(headersOf("tools/call", "count"), bare), [400, -32602])
      const { [`${protocolPrefix}clientCapabilities`]: _, ...incapable } = meta as Record<string, unknown>
      const undeclared = { ...body, params: { ...body.params, _meta: incapable } }
      assert.deepStrictEqual(yield* codeOf(headersOf("tools/call", "count"), undeclared), [400, -32602])
      assert.deepStrictEqual(yield* codeOf(headersOf("initialize"), modern("initialize")), [404, -32601])
      assert.deepStrictEqual(yield* codeOf(headersOf("no/such"), modern("no/such")), [404, -32601])
      const forged = modern("tools/call", { name: "count", arguments: {}, requestState: "x", inputResponses: {} })
      assert.deepStrictEqual(yield* codeOf(headersOf("tools/call", "count"), forged), [200, -32602])
      assert.deepStrictEqual(ledger("count"), [])
      assert.deepStrictEqual(yield* codeOf(headersOf("tools/call", "=?base64?Y291bnQ=?=")), [200, undefined])
      assert.deepStrictEqual(ledger("count"), ["1"])
    }))

  it.live("is asked only if it declares that it can answer, also beside another that can", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({ only: { url: yield* serveAsking, protocol: "legacy" } })
      const ask = (clientCapabilities: object) =>
        Effect.map(
          post(
            url,
            modern("tools/call", { name: "ask" }, { [`${protocolPrefix}clientCapabilities`]: clientCapabilities }),
            { headers: headersOf("tools/call", "ask") }
          ),
          ({ text }) => JSON.parse(text).result as { readonly isError?: boolean; readonly resultType: string }
        )
      for (let times = 0; times < 2; times++) {
        assert.isTrue((yield* ask({})).isError)
        assert.strictEqual((yield* ask({ elicitation: { form: {} } })).resultType, "input_required")
      }
    }))

  it.live("shares a session at a server with clients of its principal alone", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const tokens = { alice: Redacted.make("the-token-of-alice"), bob: Redacted.make("the-token-of-bob-too") }
      const principals = yield* Queue.unbounded<string>()
      const { url } = yield* startGateway({ only: config }, {
        tokens,
        audit: (record) => record._tag === "Used" ? Queue.offer(principals, record.principal) : Effect.void
      })
      for (const token of [tokens.alice, tokens.bob, tokens.alice, tokens.bob]) {
        const { text } = yield* post(url, modern("tools/call", { name: "count", arguments: { id: "1" } }), {
          token: Redacted.value(token),
          headers: headersOf("tools/call", "count")
        })
        assert.include(text, "counted")
      }
      assert.deepStrictEqual(yield* Queue.takeN(principals, 4), ["alice", "bob", "alice", "bob"])
      // One follows the lists.
      assert.lengthOf(ledger("process"), 3)
    }))

  it.live("unsubscribes at the server when its stream of changes ends", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const listening = modern("subscriptions/listen", { notifications: { resourceSubscriptions: ["note://1"] } })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* openResponse(url, listening)
        yield* until(() => ledger("subscribe"), ({ length }) => length === 1)
      }))
      assert.deepStrictEqual([...(yield* until(() => ledger("unsubscribe"), ({ length }) => length === 1))], [
        "note://1"
      ])
    }))

  it.live("is refused a stream of changes beyond 256 resources, and beyond 64 streams that are open", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const statusOf = (resources: number) => {
        const uris = Array.from({ length: resources }, (_, n) => `note://${n}`)
        return Effect.map(
          openResponse(url, modern("subscriptions/listen", { notifications: { resourceSubscriptions: uris } })),
          ({ statusCode }) => statusCode
        )
      }
      assert.strictEqual(yield* statusOf(257), 429)
      const open = yield* Scope.make()
      const first = yield* Scope.provide(Effect.forEach(Array.from({ length: 64 }, () => 0), statusOf), open)
      assert.deepStrictEqual(new Set(first), new Set([200]))
      assert.strictEqual(yield* statusOf(0), 429)
      yield* Scope.close(open, Exit.void)
      const again = yield* Effect.repeat(Effect.scoped(statusOf(256)), {
        schedule: Schedule.spaced("20 millis"),
        times: 250,
        until: (status) => status === 200
      })
      assert.strictEqual(again, 200)
    }))

  it.live("is refused when the headers of its arguments do not repeat them, before a server hears of it", () =>
    Effect.gen(function*() {
      const inputSchema = {
        type: "object",
        properties: {
          region: { type: "string", "x-mcp-header": "Region" },
          at: { type: "object", properties: { zone: { type: "integer", "x-mcp-header": "Zone" } } }
        }
      }
      const server = yield* Http.start(Http.modern(({ message: { id, method }, response }) => {
        if (method === "tools/list") Http.json(response, Http.modernResult(id, { tools: [{ name: "t", inputSchema }] }))
        else if (method === "tools/call") Http.json(response, Http.modernResult(id, { content: [] }))
        else return false
        return true
      }))
      const { url } = yield* startGateway({ only: { url: server.url, protocol: "2026-07-28" } })
      const codeOf = (args: object, headers: Readonly<Record<string, string>>) =>
        Effect.map(
          post(url, modern("tools/call", { name: "t", arguments: args }), {
            headers: { ...headersOf("tools/call", "t"), ...headers }
          }),
          ({ status, text }) => [status, JSON.parse(text).error?.code]
        )
      const refused = [400, -32020]
      assert.deepStrictEqual(yield* codeOf({ region: "eu" }, {}), refused)
      assert.deepStrictEqual(yield* codeOf({ region: "eu" }, { "mcp-param-region": "us" }), refused)
      assert.deepStrictEqual(yield* codeOf({}, { "mcp-param-region": "eu" }), refused)
      assert.deepStrictEqual(yield* codeOf({ at: { zone: 7 } }, { "mcp-param-zone": "8" }), refused)
      assert.strictEqual(server.count("POST tools/call t"), 0)
      const agreed = { "mcp-param-region": "eu", "mcp-param-zone": "7" }
      assert.deepStrictEqual(yield* codeOf({ region: "eu", at: { zone: 7 } }, agreed), [200, undefined])
      assert.strictEqual(server.count("POST tools/call t"), 1)
    }))

  for (const protocol of ["legacy", "2026-07-28"] as const) {
    it.live(`receives the log messages that a request asks for from a server of ${protocol}, and no others`, () =>
      Effect.gen(function*() {
        const { config } = yield* (protocol === "legacy" ? stdio("v1") : http("v2")).start
        const { url } = yield* startGateway({ only: { ...config, protocol } }, { exclude: ["only/vague"] })
        const logsOf = (level: string | undefined) =>
          Effect.map(
            post(
              url,
              modern(
                "tools/call",
                { name: "log" },
                level === undefined ? {} : { [`${protocolPrefix}logLevel`]: level }
              ),
              { headers: headersOf("tools/call", "log") }
            ),
            ({ text }) =>
              Array.from(text.matchAll(/^data: (.+)$/gm), ([, data = ""]) => JSON.parse(data).params?.data)
                .filter((data) => data !== undefined)
          )
        assert.deepStrictEqual(yield* logsOf("error"), ["a failure"])
        assert.deepStrictEqual(yield* logsOf(undefined), [])
        assert.deepStrictEqual(yield* logsOf("debug"), ["a detail", "a failure"])
        // The session upstream asks for more now.
        assert.deepStrictEqual(yield* logsOf("error"), ["a failure"])
      }))
  }
})
