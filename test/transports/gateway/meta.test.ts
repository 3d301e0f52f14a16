/**
 * What clients send with a request beside its params: `_meta`, and the trace that they are in.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"
import * as Http from "../../fixtures/scriptedHttp.ts"
import * as Spans from "../../fixtures/spans.ts"

const trace = {
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  tracestate: "client=1",
  baggage: "user=ada"
}

/** A server that notes the `_meta` of calls. */
const startNoting = (noted: Queue.Queue<Record<string, unknown>>) =>
  Http.start(({ message: { id, method, params }, response }) => {
    if (method === "tools/list") {
      Http.json(response, Http.result(id, { tools: [{ name: "t", inputSchema: { type: "object" } }] }))
    } else if (method === "tools/call") {
      Queue.offerUnsafe(noted, (params?._meta ?? {}) as Record<string, unknown>)
      Http.json(response, Http.result(id, { content: [] }))
    } else return false
    return true
  })

/** Calls the tool with a `_meta`, after other calls, and gives that which the server received. */
const metaAtServer = (meta: object, earlierCalls: 0 | 1 = 0) =>
  Effect.gen(function*() {
    const noted = yield* Queue.unbounded<Record<string, unknown>>()
    const server = yield* startNoting(noted)
    const { url } = yield* startGateway({ only: { url: server.url, protocol: "legacy" } })
    const { session } = yield* post(url, initialize)
    for (const given of [...Array.from({ length: earlierCalls }, () => ({})), meta]) {
      yield* post(url, call(1, "t", {}, given), { session })
    }
    const all = yield* Queue.takeN(noted, earlierCalls + 1)
    return all.at(-1) ?? {}
  })

describe("the _meta of a client", () => {
  it.live.each([0, 1] as const)(
    "reaches the server without the keys of the hop, and without those that may hold a secret, after %i other calls",
    (earlierCalls) =>
      Effect.gen(function*() {
        const passed = { "com.example/tenant": "seven", plain: { deep: [1] }, author: "ada" }
        const { progressToken, ...meta } = yield* metaAtServer({
          ...passed,
          progressToken: "of-the-client",
          "io.modelcontextprotocol/clientInfo": { name: "x", version: "1" },
          "io.modelcontextprotocol/related-task": { taskId: "1" },
          "com.example/Authorization": "Bearer x",
          "com.example/access_token": "x",
          "com.example/api-key": "x",
          "com.example/sessionId": "x",
          password: "x"
        }, earlierCalls)
        assert.deepStrictEqual(meta, passed)
        assert.isDefined(progressToken)
        assert.notStrictEqual(progressToken, "of-the-client")
      })
  )

  it.live("brings the trace of the client to the server, unless its traceparent is malformed", () =>
    Effect.gen(function*() {
      for (const earlierCalls of [0, 1] as const) {
        assert.deepStrictEqual(yield* metaAtServer(trace, earlierCalls), trace)
        assert.deepStrictEqual(yield* metaAtServer({ ...trace, traceparent: "00-x" }, earlierCalls), {})
      }
    }))

  it.live("makes the spans of the gateway children of that of the client", () =>
    Effect.gen(function*() {
      const { spans, traced } = Spans.make()
      const { traceparent, ...others } = yield* traced(metaAtServer(trace))
      const span = spans.find(({ name }) => name === "tools/call t") ?? assert.fail("there is no span of the call")
      assert.strictEqual(span.traceId, "4bf92f3577b34da6a3ce929d0e0e4736")
      assert.strictEqual(span.parent._tag === "Some" ? span.parent.value.spanId : undefined, "00f067aa0ba902b7")
      const { baggage, tracestate } = trace
      assert.deepStrictEqual(others, { baggage, tracestate })
      assert.match(String(traceparent), /^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[\da-f]{16}-01$/)
    }))
})
