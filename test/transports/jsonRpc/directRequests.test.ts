/**
 * The engine of requests, on a transport that records what is sent.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, type Notification, SessionError } from "@mcp-sessions/core"
import type { JSONRPCMessage, JSONRPCRequest, Transport } from "@modelcontextprotocol/client"
import { Cause, Exit } from "effect"
import { DirectRequests } from "../../../packages/transports/src/internal/jsonRpc/directRequests.ts"
import { type EraCodec, legacyCodec } from "../../../packages/transports/src/internal/jsonRpc/eraCodec.ts"
import { messageOf } from "../../../packages/transports/src/internal/jsonRpc/inboundReader.ts"
import { OrderedInbox } from "../../../packages/transports/src/internal/jsonRpc/orderedInbox.ts"
import type { Receiver, RequestSink } from "../../../packages/transports/src/internal/jsonRpc/requestSink.ts"
import { ModernCodec } from "../../../packages/transports/src/internal/modern/modernCodec.ts"
import { outgoing } from "../../fixtures/outgoing.ts"

class RecordingTransport implements Transport, RequestSink {
  onmessage?: (message: JSONRPCMessage) => void
  receiver: Receiver | undefined
  readonly sent: Array<JSONRPCMessage> = []
  readonly inbox = new OrderedInbox(this)
  start = () => Promise.resolve()
  close = () => Promise.resolve()
  send(message: JSONRPCMessage): Promise<void> {
    this.sent.push(message)
    return Promise.resolve()
  }
  sendRequest(request: Connection.OutgoingRequest, _: string, message: JSONRPCRequest): void {
    request.isWritten = true
    this.sent.push(message)
  }
}

const modernCodec = new ModernCodec({
  protocolVersion: "2026-07-28",
  clientInfo: { name: "test", version: "1" },
  clientCapabilities: {},
  toolHeaders: undefined,
  engine: () => assert.fail("no request is kept in flight"),
  fulfilInput: () => assert.fail("no result asks for input"),
  redact: (reason) => reason
})

const setting = (
  options: { readonly hasClient: boolean; readonly codec?: EraCodec } = { hasClient: false }
) => {
  const transport = new RecordingTransport()
  const events: Array<unknown> = []
  const toClient: Array<JSONRPCMessage> = []
  const engine = new DirectRequests({
    redact: (reason) => reason,
    transport,
    codec: options.codec ?? legacyCodec,
    checks: { before: () => undefined, after: () => undefined },
    onNotification: ({ method }: Notification.WireNotification) => events.push(method),
    onLogMessage: ({ method }) => events.push(method),
    client: options.hasClient ? (message) => toClient.push(message) : undefined
  })
  transport.receiver = engine
  transport.onmessage = (message) => toClient.push(message)
  const send = (method = "tools/call", params: Record<string, unknown> = {}): Connection.OutgoingRequest => {
    const request = outgoing({
      method,
      params,
      onProgress: ({ progress }) => events.push(progress),
      settle: (outcome) => events.push(Exit.isSuccess(outcome) ? outcome.value : Cause.squash(outcome.cause))
    })
    engine.send(request)
    return request
  }
  return {
    engine,
    events,
    send,
    toClient,
    transport,
    receive: (value: object) => {
      const message = messageOf(value)
      if (message !== undefined) transport.inbox.push(message)
    }
  }
}

const jsonrpc = "2.0"

describe("the request engine", () => {
  it("delivers notifications and progress before the response that follows them, in one turn", () => {
    const { events, receive, send } = setting()
    const { id } = send()
    receive({ jsonrpc, method: "notifications/tools/list_changed" })
    receive({ jsonrpc, method: "notifications/progress", params: { progressToken: id, progress: 1 } })
    receive({ jsonrpc, id, result: { done: true } })
    assert.deepStrictEqual(events, ["notifications/tools/list_changed", 1, { done: true }])
  })

  it("ignores responses and progress of requests that were cancelled or answered", () => {
    const { engine, events, receive, send, transport } = setting()
    const [answered, cancelled] = [send(), send()]
    receive({ jsonrpc, id: answered.id, result: { done: true } })
    engine.cancel(answered)
    engine.cancel(cancelled)
    engine.cancel(cancelled)
    for (const { id } of [answered, cancelled]) {
      receive({ jsonrpc, method: "notifications/progress", params: { progressToken: id, progress: 1 } })
      receive({ jsonrpc, id, result: { late: true } })
    }
    assert.deepStrictEqual(events, [{ done: true }])
    const notices = transport.sent.filter((message) =>
      "method" in message && message.method === "notifications/cancelled"
    )
    assert.strictEqual(notices.length, 1)
    assert.deepInclude((notices[0] as { readonly params: object }).params, { requestId: cancelled.id })
  })

  it("ends a request with an invalid result, answered, if the response is not what JSON-RPC says", () => {
    const { events, receive, send } = setting()
    for (const result of ["x", 7, true, null, []]) receive({ jsonrpc, id: send().id, result })
    const { id } = send()
    receive({ jsonrpc, id })
    assert.strictEqual(events.length, 6)
    for (const event of events) {
      assert.deepInclude(event, { _tag: "InvalidResult", method: "tools/call", delivery: "Answered" })
    }
  })

  it("ends a request whose result is empty with any result", () => {
    const { events, receive, send } = setting()
    for (const method of ["ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]) {
      receive({ jsonrpc, id: send(method).id, result: null })
    }
    assert.deepStrictEqual(events, [null, null, null, null])
  })

  it("delivers progress whose token is our number as text, and leaves tokens of others alone", () => {
    const { events, receive, send } = setting()
    const { id } = send()
    receive({ jsonrpc, method: "notifications/progress", params: { progressToken: String(id), progress: 1 } })
    receive({ jsonrpc, method: "notifications/progress", params: { progressToken: "7", progress: 2 } })
    receive({ jsonrpc, method: "notifications/progress" })
    assert.deepStrictEqual(events, [1, "notifications/progress", "notifications/progress"])
  })

  it("answers a ping, and refuses other requests of the server, where there are no handlers", () => {
    const { receive, toClient, transport } = setting()
    receive({ jsonrpc, id: "a", method: "ping" })
    receive({ jsonrpc, id: 7, method: "sampling/createMessage", params: {} })
    assert.deepStrictEqual(transport.sent, [
      { jsonrpc, id: "a", result: {} },
      { jsonrpc, id: 7, error: { code: -32601, message: "Method not found" } }
    ])
    assert.deepStrictEqual(toClient, [])
  })

  it("knows the call that a request of the server belongs to if it is the only one in flight", () => {
    const { engine, receive, send } = setting({ hasClient: true })
    send("tools/list")
    const first = send()
    receive({ jsonrpc, id: 1, method: "elicitation/create", params: {} })
    assert.strictEqual(engine.callOf(1), first)
    send()
    receive({ jsonrpc, id: 2, method: "elicitation/create", params: {} })
    assert.isUndefined(engine.callOf(2))
    receive({ jsonrpc, id: first.id, result: { done: true } })
    assert.isUndefined(engine.callOf(1))
  })

  it("knows the request for a result that a question of its task belongs to, whatever else is in flight", () => {
    const { engine, receive, send } = setting({ hasClient: true })
    send()
    const [first, second] = ["first", "second"].map((taskId) => send("tasks/result", { taskId }))
    const ask = (id: number, taskId: string) => {
      const _meta = { "io.modelcontextprotocol/related-task": { taskId } }
      receive({ jsonrpc, id, method: "elicitation/create", params: { _meta } })
      return engine.callOf(id)
    }
    assert.strictEqual(ask(1, "first"), first)
    assert.strictEqual(ask(2, "second"), second)
    assert.isUndefined(ask(3, "third"))
  })

  it("withdraws a question to the user with the only call that it can belong to", () => {
    const { engine, receive, send, toClient, transport } = setting({ hasClient: true })
    const call = send()
    receive({ jsonrpc, id: 1, method: "elicitation/create", params: {} })
    engine.cancel(call)
    assert.deepInclude(toClient.at(-1), { method: "notifications/cancelled", params: { requestId: 1 } })
    assert.isTrue(transport.sent.some((message) => "error" in message && message.id === 1))
  })

  it("fails a request whose response has a result and an error, with the words of the server", () => {
    const { events, receive, send } = setting()
    for (const result of [{ content: [] }, null]) {
      const { id } = send()
      receive({ jsonrpc, id, result, error: { code: -32_602, message: "n is required", data: 1 } })
      const failure = { _tag: "ProtocolFailed", code: -32_602, description: "n is required", data: 1 }
      assert.deepInclude(events.pop(), failure)
    }
    receive({ jsonrpc, id: send().id, result: { content: [] }, error: null })
    assert.deepStrictEqual(events, [{ content: [] }])
  })

  it("fails a request of the modern era whose response has a result and an error", () => {
    const { events, receive, send } = setting({ hasClient: false, codec: modernCodec })
    receive({ jsonrpc, id: send().id, result: { resultType: "complete" }, error: { code: -32_602, message: "no" } })
    assert.deepInclude(events[0], { _tag: "ProtocolFailed", code: -32_602, description: "no" })
  })

  it("hands a response with a result and an error to the SDK's client as an error", () => {
    const { receive, toClient } = setting({ hasClient: true })
    receive({ jsonrpc, id: 0, result: {}, error: { code: -32_602, message: "no" } })
    receive({ jsonrpc, id: 1, result: {}, error: null })
    assert.deepStrictEqual(toClient, [
      { jsonrpc, id: 0, error: { code: -32_602, message: "no" } },
      { jsonrpc, id: 1, result: {} }
    ])
  })

  it("never ends a request that was written as NotSent, whatever reason the transport gives", () => {
    const { engine, events, send } = setting()
    const written = send()
    engine.fail(written, new SessionError.ConnectionRefused({ address: "x", code: "ECONNREFUSED" }))
    assert.deepInclude(events[0], { _tag: "TransportFailed", delivery: "Unknown" })
    const unwritten = send()
    unwritten.isWritten = false
    engine.fail(unwritten, new SessionError.ConnectionRefused({ address: "x", code: "ECONNREFUSED" }))
    assert.deepInclude(events[1], { _tag: "ConnectionRefused", delivery: "NotSent" })
  })
})
