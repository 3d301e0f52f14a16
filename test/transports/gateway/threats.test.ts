/**
 * What a hostile server, or a hostile client, tries against a gateway and those who share it.
 */
import { assert, describe, it } from "@effect/vitest"
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Queue } from "effect"
import { request } from "node:http"
import { call, connectV1, initialize, post, startGateway, textOf } from "../../fixtures/gateway.ts"
import { stdio, until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"

const tool = (name: string) => ({ name, inputSchema: { type: "object" } })

describe("a hostile server", () => {
  it.live("cannot keep a call in flight beyond its total timeout by reports of progress", () =>
    Effect.gen(function*() {
      const server = yield* Http.start(({ message: { id, method, params }, response }) => {
        if (method === "tools/list") Http.json(response, Http.result(id, { tools: [tool("endless")] }))
        else if (method === "tools/call") {
          const { progressToken } = (params?._meta ?? {}) as { readonly progressToken?: unknown }
          Http.stream(response)
          let progress = 0
          const report = setInterval(() => {
            const params = { progressToken, progress: ++progress }
            response.write(Http.event({ jsonrpc: "2.0", method: "notifications/progress", params }))
          }, 20)
          response.once("close", () => clearInterval(report))
        } else return false
        return true
      })
      const only = { url: server.url, protocol: "legacy" as const, requestTimeout: 1000, totalTimeout: 1500 }
      const { url } = yield* startGateway({ only })
      const { session } = yield* post(url, initialize)
      const { text } = yield* post(url, call(1, "endless", {}, { progressToken: "p" }), { session })
      const messages = Array.from(text.matchAll(/^data: (.+)$/gm), ([, data = ""]) => JSON.parse(data))
      const last = messages.pop()
      assert.strictEqual(last.error?.data.reason, "OutcomeUnknown")
      // Reports of progress extend the request timeout, so the other one has ended the call.
      assert.include(last.error?.message, "within 1500 ms")
      assert.deepStrictEqual(new Set(messages.map(({ method }) => method)), new Set(["notifications/progress"]))
    }))

  it.live("that floods a client with notifications causes two fetches, and delays no call at another server", () =>
    Effect.gen(function*() {
      const lists = { isHeld: false, held: [] as Array<() => void>, bySession: new Map<unknown, number>() }
      const hostile = yield* Http.start(({ message: { id, method }, request, response }) => {
        const session = request.headers["mcp-session-id"]
        if (method === "tools/list") {
          lists.bySession.set(session, (lists.bySession.get(session) ?? 0) + 1)
          const answer = () => Http.json(response, Http.result(id, { tools: [tool("flood")] }))
          if (lists.isHeld) lists.held.push(answer)
          else answer()
        } else if (method === "tools/call") {
          lists.isHeld = true
          const changed = Http.event({ jsonrpc: "2.0", method: "notifications/tools/list_changed" })
          Http.stream(response, ...Array.from({ length: 3000 }, () => changed))
          response.end(Http.event(Http.toolResult(id, "flooded")))
        } else return false
        return true
      })
      const good = yield* stdio("v1").start
      const { url } = yield* startGateway(
        { hostile: { url: hostile.url, protocol: "legacy" }, good: good.config },
        { exclude: ["good/vague"] }
      )
      const changes = yield* Queue.unbounded<string>()
      const { client } = yield* connectV1(url, {
        prepare: (client) =>
          client.setNotificationHandler(ToolListChangedNotificationSchema, ({ method }) => {
            Queue.offerUnsafe(changes, method)
          })
      })
      yield* Effect.promise(() => client.callTool({ name: "hostile_flood" }))
      yield* until(() => lists.held.length, (count) => count > 0)
      const said = yield* Effect.promise(() => client.callTool({ name: "good_echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
      assert.lengthOf(lists.held, 1)
      lists.isHeld = false
      lists.held.pop()?.()
      yield* Queue.takeN(changes, 2)
      // The session of the client lists nothing before.
      assert.include([...lists.bySession.values()], 2)
    }))

  it.live("that never answers delays no call at another server, and is not tried by listing", () =>
    Effect.gen(function*() {
      const mute = yield* Http.start(({ request }) => request.method === "POST")
      const good = yield* stdio("v1").start
      const { url } = yield* startGateway(
        { mute: { url: mute.url, protocol: "legacy" }, good: good.config },
        { exclude: ["good/vague"], startTimeout: "2 seconds" }
      )
      const { client } = yield* connectV1(url)
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.isTrue(tools.length > 0 && tools.every(({ name }) => name.startsWith("good_")))
      const said = yield* Effect.promise(() => client.callTool({ name: "good_echo", arguments: { message: "hi" } }))
      assert.strictEqual(textOf(said), "hi")
    }))

  it.live("on stdio does not see the environment of the gateway", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const name = "GATEWAY_SECRET_OF_A_TEST"
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env[name] = "a-secret"
        }),
        () => Effect.sync(() => delete process.env[name])
      )
      const { url } = yield* startGateway({ only: config })
      const { client } = yield* connectV1(url)
      const said = yield* Effect.promise(() => client.callTool({ name: "environment" }))
      assert.property(JSON.parse(textOf(said)), "PATH")
      assert.notInclude(textOf(said), "a-secret")
    }))
})

describe("a hostile client", () => {
  it.live("cannot subscribe to more than 256 resources", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const [own, other] = yield* Effect.all([post(url, initialize), post(url, initialize)])
      const send = (method: "subscribe" | "unsubscribe", n: number, { session } = own) =>
        Effect.map(
          post(url, { jsonrpc: "2.0", id: n, method: `resources/${method}`, params: { uri: `note://${n}` } }, {
            session
          }),
          ({ text }) => (JSON.parse(text) as { readonly error?: { readonly code: number } }).error?.code
        )
      const ids = Array.from({ length: 256 }, (_, n) => n)
      const first = yield* Effect.forEach(ids, (n) => send("subscribe", n), { concurrency: 8 })
      assert.deepStrictEqual(new Set(first), new Set([undefined]))
      assert.strictEqual(yield* send("subscribe", 256), -32000)
      // A second subscription to the same resource counts once.
      assert.isUndefined(yield* send("subscribe", 255))
      assert.sameMembers([...ledger("subscribe")], ids.map((n) => `note://${n}`))
      // The limit is that of one client, and ends with a subscription.
      assert.isUndefined(yield* send("subscribe", 257, other))
      assert.isUndefined(yield* send("unsubscribe", 0))
      assert.isUndefined(yield* send("subscribe", 258))
      assert.strictEqual(yield* send("subscribe", 259), -32000)
      assert.strictEqual(ledger("subscribe").length, 258)
    }))

  it.live("cannot subscribe to a URI of more than 4,096 characters, or page through lists with a cursor of its own", () =>
    Effect.gen(function*() {
      const { config, ledger } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      const codeOf = (method: string, params: object) =>
        Effect.map(
          post(url, { jsonrpc: "2.0", id: 1, method, params }, { session }),
          ({ text }) => JSON.parse(text).error?.code
        )
      const uriOf = (length: number) => "note://".padEnd(length, "x")
      assert.strictEqual(yield* codeOf("resources/subscribe", { uri: uriOf(4097) }), -32602)
      assert.isUndefined(yield* codeOf("resources/subscribe", { uri: uriOf(4096) }))
      assert.deepStrictEqual(ledger("subscribe").map(({ length }) => length), [4096])
      for (const method of ["tools/list", "resources/list", "resources/templates/list", "prompts/list"]) {
        assert.strictEqual(yield* codeOf(method, { cursor: "1" }), -32602)
        assert.isUndefined(yield* codeOf(method, {}))
      }
    }))

  it.live("adds nothing to the metrics by names of tools and resources that it makes up", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      yield* post(url, call(1, "echo", { message: "hi" }), { session })
      yield* post(url, call(2, "made-up-tool"), { session })
      yield* post(url, { jsonrpc: "2.0", id: 3, method: "resources/read", params: { uri: "made-up://uri" } }, {
        session
      })
      yield* post(url, { jsonrpc: "2.0", id: 4, method: "made-up/method" }, { session })
      const { text } = yield* post(`${new URL(url).origin}/metrics`, undefined, { method: "GET" })
      assert.include(text, "tools/call")
      assert.notInclude(text, "made-up")
    }))

  it.live("sends a character in two chunks, and the server receives it whole", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      const body = Buffer.from(JSON.stringify(call(1, "echo", { message: "für 🧭" })))
      const text = yield* Effect.callback<string>((resume) => {
        const headers = {
          "content-type": "application/json",
          accept: "application/json",
          "mcp-session-id": session
        }
        const sent = request(url, { method: "POST", agent: false, headers }, (response) => {
          let text = ""
          response.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk
          })
          response.on("end", () => resume(Effect.succeed(text)))
        })
        const edge = body.indexOf(Buffer.from("🧭")) + 2
        sent.write(body.subarray(0, edge), () => setImmediate(() => sent.end(body.subarray(edge))))
      })
      assert.strictEqual(textOf(JSON.parse(text).result), "für 🧭")
    }))
})

describe("the options of a gateway", () => {
  it.live("are refused all at once when they are negative, not a number, infinite or not whole", () =>
    Effect.gen(function*() {
      const options = {
        idleTimeToLive: Number.POSITIVE_INFINITY,
        drainTimeout: Number.NaN,
        startTimeout: -1,
        port: 65_536,
        limits: { maxBodyBytes: 0, maxSessions: -1, maxInFlight: Number.NaN, requestsPerSecond: 1.5 }
      }
      const error = yield* Effect.flip(startGateway({}, options))
      if (error._tag !== "ConfigError") return assert.fail(error._tag)
      assert.sameMembers(error.problems.map(({ path }) => path.join(".")), [
        "port",
        "limits.maxBodyBytes",
        "limits.maxSessions",
        "limits.maxInFlight",
        "limits.requestsPerSecond",
        "idleTimeToLive",
        "startTimeout",
        "drainTimeout"
      ])
    }))
})
