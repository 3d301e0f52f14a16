/**
 * Faults of the engine (`@modelcontextprotocol/client` 2.4) that this repository works around, on the bare SDK. A test that
 * fails here is good news: the fault is fixed upstream, and the workaround that its message names can go. That ours does not
 * have the fault is shown by the test named beside each.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Client,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  SSEClientTransport,
  StreamableHTTPClientTransport,
  type Transport
} from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { vi } from "vitest"
import { fixture, isAlive, makeLedger, until } from "../fixtures/peer.ts"
import * as Http from "../fixtures/scriptedHttp.ts"
import * as Sse from "../fixtures/scriptedSse.ts"
import { withSession } from "../fixtures/withSession.ts"

const internal = (file: string) => {
  const path = `packages/transports/src/internal/${file}`
  assert.isTrue(existsSync(new URL(`../../${path}`, import.meta.url)), `no such file: ${path}`)
  return `fixed upstream: the workaround in ${path} can go`
}

/** What a fault brings about. That it does not come is the good news. */
const still = <A>(what: Effect.Effect<A>, fixed: string) =>
  Effect.timeoutOrElse(what, { duration: "20 seconds", orElse: () => Effect.die(new Error(fixed)) })

/** A client that is closed with the scope. */
const makeClient = (mode: "legacy" | "auto" = "legacy") =>
  Effect.acquireRelease(
    Effect.sync(() => new Client({ name: "bare", version: "1" }, { versionNegotiation: { mode } })),
    (client) => Effect.promise(() => client.close())
  )

const connect = (transport: Transport, mode?: "auto") =>
  Effect.tap(makeClient(mode), (client) => Effect.promise(() => client.connect(transport)))

/** Connects to a scripted server, in the legacy era. */
const connectHttp = (handle: (arrival: Http.Arrival) => boolean | Promise<boolean>) =>
  Effect.gen(function*() {
    const server = yield* Http.start(handle)
    const client = yield* connect(new StreamableHTTPClientTransport(new URL(server.url)))
    return { client, server }
  })

const stdio = (mode: string, file: string, ...rest: ReadonlyArray<string>) =>
  new StdioClientTransport({
    command: process.execPath,
    args: [fixture("faultyStdio.mjs"), mode, file, ...rest],
    stderr: "ignore"
  })

/** The error that a promise of the SDK ends with. */
const errorOf = (run: () => Promise<unknown>) =>
  Effect.promise(() => run().then(() => assert.fail("it was expected to fail"), (error: unknown) => error))

const isCall = ({ message }: Http.Arrival) => message.method === "tools/call"

describe.concurrent("over Streamable HTTP, the SDK", () => {
  // Ours: StreamableHttp.test.ts, "replaces a session that the server forgot once for all calls, …".
  it.live("still never initializes again when the server has forgotten the session", () =>
    Effect.gen(function*() {
      const { client, server } = yield* connectHttp((arrival) => {
        if (!isCall(arrival)) return false
        arrival.response.writeHead(404).end()
        return true
      })
      for (const name of ["first", "second"]) {
        const error = yield* errorOf(() => client.callTool({ name }))
        assert.isTrue(error instanceof SdkHttpError && error.status === 404, internal("http/httpTransport.ts"))
      }
      assert.strictEqual(server.count("POST initialize"), 1, internal("http/httpTransport.ts"))
    }).pipe(Effect.scoped))

  // Ours: StreamableHttp.test.ts, "sends the headers of the definition with every request, …".
  it.live("still sends no DELETE when it closes", () =>
    Effect.gen(function*() {
      const { client, server } = yield* connectHttp(() => false)
      yield* Effect.promise(() => client.close())
      // Whatever the client had to say has been said before the next one is done.
      yield* connect(new StreamableHTTPClientTransport(new URL(server.url)))
      assert.strictEqual(server.count("POST initialize"), 2)
      const fixed = "fixed upstream: the workaround in packages/transports/src/StreamableHttp.ts (release) can go"
      assert.strictEqual(server.count("DELETE"), 0, fixed)
    }).pipe(Effect.scoped))

  // Ours: A5-faultyStreams.test.ts, "reopens a stream that closes at once after growing delays, …" (iv).
  it.live("still opens a stream that is closed at once again without end, and in a hot loop where the server likes that", () =>
    Effect.gen(function*() {
      const { server } = yield* connectHttp(({ request, response }) => {
        if (request.method !== "GET") return false
        Http.stream(response, "retry: 0\ndata: \n\n")
        response.end()
        return true
      })
      // More often in three seconds than a pause of even 100 ms would allow.
      yield* still(until(() => server.count("GET"), (count) => count > 30), internal("http/streamBackoff.ts"))
    }).pipe(Effect.scoped))

  // Ours: StreamableHttp.test.ts, "is asked once for a stream of its own messages if it has none, …".
  it.live("still takes any body for an event stream, and asks for it again when it has ended", () =>
    Effect.gen(function*() {
      const { server } = yield* connectHttp(({ request, response }) => {
        if (request.method !== "GET") return false
        response.writeHead(200, { "content-type": "text/plain" }).end("hello")
        return true
      })
      yield* still(until(() => server.count("GET"), (count) => count > 1), internal("http/serverStream.ts"))
    }).pipe(Effect.scoped))

  // Ours: A5-faultyStreams.test.ts, "fails a call at once, without a repeat, when its stream ends without the response" (i).
  it.live("still waits for its timeout when the stream of a call ends without the answer", () =>
    Effect.gen(function*() {
      const { client } = yield* connectHttp((arrival) => {
        if (!isCall(arrival)) return false
        Http.stream(arrival.response, ": nothing\n\n")
        arrival.response.end()
        return true
      })
      const error = yield* errorOf(() => client.callTool({ name: "x" }, { timeout: 300 }))
      assert.isTrue(
        error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout,
        internal("http/httpTransport.ts")
      )
    }).pipe(Effect.scoped))

  // Ours: StreamableHttp.test.ts, "fails a call whose response in json is too large, …".
  it.live("still reads a body of any size", () =>
    Effect.gen(function*() {
      const size = 17 * 1024 ** 2
      const { client } = yield* connectHttp((arrival) => {
        if (isCall(arrival)) Http.json(arrival.response, Http.toolResult(arrival.message.id, "x".repeat(size)))
        return isCall(arrival)
      })
      const result = yield* still(
        Effect.promise(() => client.callTool({ name: "x" })),
        internal("http/httpExchange.ts")
      )
      assert.strictEqual(JSON.stringify(result.content).length > size, true, internal("http/httpExchange.ts"))
    }).pipe(Effect.scoped))

  // Ours: Session.test.ts, "validates structured content against a known output schema".
  it.live("still reports a result without structured content as if the server had answered with an error", () =>
    Effect.gen(function*() {
      const { client } = yield* connectHttp(({ message, response }) => {
        if (message.method !== "tools/list") return false
        const schema = { type: "object" }
        Http.json(
          response,
          Http.result(message.id, { tools: [{ name: "x", inputSchema: schema, outputSchema: schema }] })
        )
        return true
      })
      yield* Effect.promise(() => client.listTools())
      assert.instanceOf(
        yield* errorOf(() => client.callTool({ name: "x" })),
        ProtocolError,
        internal("sdk/outputSchemas.ts")
      )
    }).pipe(Effect.scoped))

  // Ours: lists.ts asks no server for what it has not declared.
  it.live("still prints to stdout when the server has no tools to list", () =>
    Effect.gen(function*() {
      const { client } = yield* connectHttp(({ message, response }) => {
        if (message.method !== "initialize") return false
        const serverInfo = { name: "bare", version: "1" }
        Http.json(response, Http.result(message.id, { protocolVersion: "2025-11-25", capabilities: {}, serverInfo }))
        return true
      })
      // What Node prints to stdout, whatever its name says.
      const print = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(console, "debug").mockReturnValue(undefined)),
        (print) => Effect.sync(() => print.mockRestore())
      )
      yield* Effect.promise(() => client.listTools())
      assert.strictEqual(
        print.mock.calls.length,
        1,
        "fixed upstream: the care in packages/core/src/internal/lists.ts can go"
      )
    }).pipe(Effect.scoped))
})

describe.concurrent("over SSE, the SDK", () => {
  // Ours: Sse.test.ts, "fails at the connect deadline if the server never names an endpoint to post to".
  it.live("still waits for ever for a place to post to, whatever the timeout", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start(() => false, ": nothing yet\n\n")
      const client = yield* makeClient()
      const connecting = client.connect(new SSEClientTransport(new URL(server.url)), { timeout: 50 }).catch(() => {})
      yield* until(() => server.count("GET"), (count) => count === 1)
      const ended = yield* Effect.timeoutOption(Effect.promise(() => connecting), "400 millis")
      assert.strictEqual(ended._tag, "None", internal("sse/sseTransport.ts"))
    }).pipe(Effect.scoped))

  // Ours: Sse.test.ts, "initializes a new session when a POST is answered with 404".
  it.live("still tells the status of a refusal in the text of an error alone", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start((arrival) => {
        if (isCall(arrival)) arrival.response.writeHead(404).end()
        return isCall(arrival)
      })
      const client = yield* connect(new SSEClientTransport(new URL(server.url)))
      const error = yield* errorOf(() => client.callTool({ name: "x" }))
      assert.deepStrictEqual(Object.keys(error as Error), [], internal("sse/sseTransport.ts"))
      assert.strictEqual((error as Error).constructor, Error, internal("sse/sseTransport.ts"))
    }).pipe(Effect.scoped))

  // Ours: Sse.test.ts, "ends with its stream: …".
  it.live("still takes up a lost stream as if the session that it was had lived on", () =>
    Effect.gen(function*() {
      const server = yield* Sse.start((arrival, stream) => {
        if (!isCall(arrival)) return false
        arrival.response.writeHead(202).end()
        stream()?.end()
        return true
      }, `retry: 10\n${Sse.endpoint}`)
      const client = yield* connect(new SSEClientTransport(new URL(server.url)))
      let isClosed = false
      client.onclose = () => {
        isClosed = true
      }
      const error = yield* errorOf(() => client.callTool({ name: "x" }, { timeout: 300 }))
      assert.isTrue(
        error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout,
        internal("sse/sseTransport.ts")
      )
      yield* still(until(() => server.count("GET"), (count) => count === 2), internal("sse/sseTransport.ts"))
      assert.isFalse(isClosed, internal("sse/sseTransport.ts"))
      assert.strictEqual(server.count("POST initialize"), 1, internal("sse/sseTransport.ts"))
    }).pipe(Effect.scoped))
})

describe.concurrent("over stdio, the SDK", () => {
  // Ours: A3-noProcessSurvives.test.ts, "the close of a polite server and its descendants" (a).
  it.live("still leaves grandchildren behind when it closes", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const pid of read("process").filter(isAlive)) process.kill(Number(pid), "SIGKILL")
        })
      )
      const client = yield* connect(stdio("family", file))
      yield* Effect.promise(() => client.close())
      assert.strictEqual(read("process").length, 2)
      assert.strictEqual(read("process").filter(isAlive).length, 1, internal("stdio/processGroup.ts"))
    }).pipe(Effect.scoped))

  it.live("still lets an answer overtake the reports that came in one piece with it", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const client = yield* connect(stdio("burst", file))
      const reports: Array<number> = []
      yield* Effect.promise(() =>
        client.callTool({ name: "x" }, { onprogress: ({ progress }) => reports.push(progress) })
      )
      assert.deepStrictEqual(reports, [], internal("jsonRpc/orderedInbox.ts"))
      const ours: Array<number> = []
      const config = {
        transport: "stdio",
        command: process.execPath,
        args: [fixture("faultyStdio.mjs"), "burst", file]
      }
      const onProgress = ({ progress }: { readonly progress: number }) => void ours.push(progress)
      yield* withSession(config, (session) => session.callTool("x", {}, { onProgress }))
      assert.deepStrictEqual(ours, [1])
    }).pipe(Effect.scoped))

  // Ours: sdkError.test.ts, "classifies a client without a transport as TransportClosed with delivery NotSent".
  it.live("still says with a bare error that it is not connected", () =>
    Effect.gen(function*() {
      const { file } = yield* makeLedger
      const client = yield* connect(stdio("plain", file))
      yield* Effect.promise(() => client.close())
      const error = yield* errorOf(() => client.callTool({ name: "x" }))
      assert.strictEqual((error as Error).constructor, Error, internal("sdk/sdkError.ts"))
    }).pipe(Effect.scoped))

  // Ours: Stdio.test.ts, "reports how a server exited that exits at once: …".
  it.live("still does not tell how a server ended that exits at once", () =>
    Effect.gen(function*() {
      const client = yield* makeClient()
      const error = yield* errorOf(() => client.connect(stdio("exit", "", "7")))
      assert.isTrue(
        error instanceof SdkError && error.code === SdkErrorCode.ConnectionClosed,
        internal("stdio/serverProcess.ts")
      )
      assert.notInclude(JSON.stringify(error), "7", internal("stdio/serverProcess.ts"))
    }).pipe(Effect.scoped))

  // Ours: Stdio.test.ts, "takes … on the era probe for a legacy server, without a second process".
  it.live("still starts a second process to find out about the era", () =>
    Effect.gen(function*() {
      const { file, read } = yield* makeLedger
      yield* connect(stdio("plain", file), "auto")
      assert.strictEqual(read("process").length, 2, internal("stdio/stdioTransport.ts"))
    }).pipe(Effect.scoped))
})
