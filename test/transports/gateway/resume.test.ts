/**
 * Responses whose stream breaks: the client opens another one with the id of the last event, and the call does not run again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { Effect, Fiber, Redacted } from "effect"
import { request } from "node:http"
import { call, initialize, post, startGateway, textOf } from "../../fixtures/gateway.ts"
import { stdio, until } from "../../fixtures/peer.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import { tcpProxy } from "../../fixtures/tcpProxy.ts"

const resume = (url: string, session: string, id: string, headers: Readonly<Record<string, string>> = {}) =>
  post(url, undefined, {
    method: "GET",
    session,
    headers: { accept: "text/event-stream", "last-event-id": id, ...headers }
  })

/** The ids and messages of an event stream. Events without data have no message. */
const eventsOf = (text: string) =>
  text.split("\n\n").filter((event) => /^data:/m.test(event)).map((event) => ({
    id: /^id: (.*)$/m.exec(event)?.[1],
    message: JSON.parse(/^data: (.+)$/m.exec(event)?.[1] ?? "null") as
      | { readonly id?: number; readonly method?: string; readonly result?: unknown }
      | null
  }))

/** A server whose tool reports progress, and ends when it is told. */
const startSlow = Effect.gen(function*() {
  let finish = () => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const server = yield* Http.start(async ({ message: { id, method, params }, response }) => {
    if (method === "tools/list") {
      Http.json(response, Http.result(id, { tools: [{ name: "slow", inputSchema: { type: "object" } }] }))
    } else if (method === "tools/call") {
      const { progressToken } = (params?._meta ?? {}) as { readonly progressToken?: unknown }
      Http.stream(
        response,
        Http.event({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken, progress: 1 } })
      )
      await finished
      response.end(Http.event(Http.toolResult(id, "done")))
    } else return false
    return true
  })
  return { server, finish: Effect.sync(() => finish()), calls: () => server.count("POST tools/call slow") }
})

/** Sends a POST, or a GET without a body, and breaks its response once a text has arrived. Gives what arrived until then. */
const breakAfter = (
  url: string,
  session: string,
  body: object | undefined,
  text: string,
  { headers: more, onOpen }: { readonly headers?: Readonly<Record<string, string>>; readonly onOpen?: () => void } = {}
) =>
  Effect.callback<string>((resume) => {
    const headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-session-id": session,
      ...more
    }
    const sent = request(url, { method: body === undefined ? "GET" : "POST", agent: false, headers }, (response) => {
      let arrived = ""
      response.setEncoding("utf8").on("error", () => {})
      response.on("data", (chunk: string) => {
        arrived += chunk
        onOpen?.()
        if (!arrived.includes(text)) return
        sent.destroy()
        resume(Effect.succeed(arrived))
      })
    })
    sent.on("error", () => {})
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })

const slowCall = call(1, "slow", {}, { progressToken: "p" })

describe("a response whose stream broke", () => {
  it.live("is delivered once to the client that resumes it, and its call runs once", () =>
    Effect.gen(function*() {
      const { calls, finish, server } = yield* startSlow
      const { url } = yield* startGateway({ only: { url: server.url, protocol: "legacy" } })
      const { session } = yield* post(url, initialize)
      const events = eventsOf(yield* breakAfter(url, session, slowCall, "progress"))
      // An event without data comes first, so that the client has an id at once.
      assert.deepStrictEqual(events.map(({ message }) => message?.method), [undefined, "notifications/progress"])
      yield* finish
      const id = events.at(-1)?.id ?? assert.fail("the event has no id")
      const resumed = eventsOf((yield* resume(url, session, id)).text).filter(({ message }) => message !== null)
      assert.deepStrictEqual(resumed.map(({ message }) => [message?.id, textOf(message?.result)]), [[1, "done"]])
      // After the response there is nothing to wait for.
      assert.strictEqual((yield* resume(url, session, resumed[0]?.id ?? "")).status, 204)
      assert.strictEqual(calls(), 1)
    }))

  it.live("is not delivered to another session, to another principal, or for an id that never was", () =>
    Effect.gen(function*() {
      const { finish, server } = yield* startSlow
      const tokens = { alice: Redacted.make("the-token-of-alice"), bob: Redacted.make("the-token-of-bob-too") }
      const { url } = yield* startGateway({ only: { url: server.url, protocol: "legacy" } }, { tokens })
      const as = (name: keyof typeof tokens) => ({ authorization: `Bearer ${Redacted.value(tokens[name])}` })
      const [own, other, bob] = yield* Effect.all([
        post(url, initialize, { headers: as("alice") }),
        post(url, initialize, { headers: as("alice") }),
        post(url, initialize, { headers: as("bob") })
      ])
      const called = yield* Effect.forkChild(post(url, slowCall, { session: own.session, headers: as("alice") }))
      yield* finish
      const { text } = yield* Fiber.join(called)
      const [first = assert.fail("there is no event")] = eventsOf(text)
      const id = first.id ?? ""
      const statuses = yield* Effect.all([
        resume(url, own.session, "99-0", as("alice")),
        resume(url, own.session, "x", as("alice")),
        resume(url, other.session, id, as("alice")),
        resume(url, own.session, id, as("bob")),
        resume(url, bob.session, id, as("bob"))
      ])
      assert.deepStrictEqual(statuses.map(({ status }) => status), [400, 400, 400, 404, 400])
      for (const { text } of statuses) assert.notInclude(text, "done")
    }))

  it.live("reaches a client of SDK v1 whose connection was cut, which resumes by itself", () =>
    Effect.gen(function*() {
      const { calls, finish, server } = yield* startSlow
      const { port, url } = yield* startGateway({ only: { url: server.url, protocol: "legacy" } })
      const proxy = yield* tcpProxy(port)
      const client = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const client = new Client({ name: "v1", version: "1" }, { capabilities: {} })
          const transport = new StreamableHTTPClientTransport(new URL(url.replace(`:${port}`, `:${proxy.port}`)))
          await client.connect(transport as Parameters<typeof client.connect>[0])
          return client
        }),
        (client) => Effect.promise(() => client.close())
      )
      const reports: Array<number> = []
      const called = yield* Effect.forkChild(Effect.promise(() =>
        client.callTool({ name: "slow" }, undefined, { onprogress: ({ progress }) => void reports.push(progress) })
      ))
      yield* until(() =>
        reports.length, (count) => count === 1)
      proxy.cut()
      yield* finish
      assert.strictEqual(textOf(yield* Fiber.join(called)), "done")
      assert.deepStrictEqual([reports, calls()], [[1], 1])
    }))
})

describe("the stream of a client", () => {
  it.live("goes on after the last event that the client has", () =>
    Effect.gen(function*() {
      const { config } = yield* stdio("v1").start
      const { url } = yield* startGateway({ only: config })
      const { session } = yield* post(url, initialize)
      const setLevel = { jsonrpc: "2.0", id: 1, method: "logging/setLevel", params: { level: "debug" } }
      yield* post(url, setLevel, { session })
      let isOpen = false
      const onOpen = () => {
        isOpen = true
      }
      const arrived = yield* Effect.forkChild(breakAfter(url, session, undefined, "a failure", { onOpen }))
      yield* until(() => isOpen, (open) => open)
      yield* post(url, call(2, "log"), { session })
      const [empty, first, second] = eventsOf(yield* Fiber.join(arrived))
      assert.isNull(empty?.message)
      assert.deepStrictEqual([first, second].map((event) => event?.message?.method), [
        "notifications/message",
        "notifications/message"
      ])
      const again = yield* breakAfter(url, session, undefined, "a failure", {
        headers: { "last-event-id": first?.id ?? "" }
      })
      assert.deepStrictEqual(eventsOf(again).at(-1), second)
      assert.notInclude(again, "a detail")
    }))
})
