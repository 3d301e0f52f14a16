/**
 * Requests on a connection that breaks: what was written may have run, and only that.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, ServerConfig, type SessionError, Transport } from "@mcp-sessions/core"
import { Memory, Transports } from "@mcp-sessions/transports"
import type { JSONRPCMessage, Transport as SdkTransport } from "@modelcontextprotocol/client"
import { Cause, Effect, Exit, Layer, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { WebSocketServer } from "ws"
import { outgoing } from "../fixtures/outgoing.ts"
import { makeLedger, until } from "../fixtures/peer.ts"

interface Sent extends Connection.OutgoingRequest {
  readonly number: number
  readonly outcomes: Array<Exit.Exit<unknown, SessionError.Reason>>
}

const request = (number: number): Sent => {
  const outcomes: Array<Exit.Exit<unknown, SessionError.Reason>> = []
  return {
    ...outgoing({ params: { name: "count", arguments: { number } }, settle: (outcome) => outcomes.push(outcome) }),
    number,
    outcomes
  }
}

const deliveryOf = ({ outcomes: [outcome] }: Sent): SessionError.Delivery | "none" => {
  if (outcome === undefined || Exit.isSuccess(outcome)) return "none"
  const failure = Cause.findError(outcome.cause)
  return failure._tag === "Success" ? failure.success.delivery : "none"
}

const initialized = {
  protocolVersion: "2025-11-25",
  capabilities: { tools: {} },
  serverInfo: { name: "counting", version: "1" }
}

interface Peer {
  readonly config: ServerConfig.ServerConfigInput
  readonly transports: Layer.Layer<Transport.Transports>
  /** The numbers of the requests that the server has received. */
  readonly received: () => ReadonlyArray<number>
}

/** Servers that answer even numbers, and break the connection on the request with the last number. */
const peers = (last: number): Readonly<Record<string, Effect.Effect<Peer, never, Scope.Scope>>> => ({
  stdio: Effect.map(makeLedger, ({ file }) => {
    const script = `
      const fs = require("node:fs")
      require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
        const { id, method, params } = JSON.parse(line)
        const answer = (result) => fs.writeSync(1, JSON.stringify({ jsonrpc: "2.0", id, result }) + "\\n")
        if (method === "initialize") return answer(${JSON.stringify(initialized)})
        if (method !== "tools/call") return
        const { number } = params.arguments
        fs.appendFileSync(${JSON.stringify(file)}, number + "\\n")
        if (number === ${last}) process.exit(1)
        if (number % 2 === 0) answer({ content: [] })
      })`
    return {
      config: { transport: "stdio", command: process.execPath, args: ["-e", script], protocol: "legacy" },
      transports: Transports.layer,
      received: () => readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map(Number)
    }
  }),
  websocket: Effect.acquireRelease(
    Effect.promise(async () => {
      const received: Array<number> = []
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
      server.on("connection", (socket) =>
        socket.on("message", (data) => {
          const { id, method, params } = JSON.parse(String(data))
          const answer = (result: unknown) => socket.send(JSON.stringify({ jsonrpc: "2.0", id, result }))
          if (method === "initialize") return answer(initialized)
          if (method !== "tools/call") return
          const { number } = params.arguments
          received.push(number)
          if (number === last) socket.terminate()
          else if (number % 2 === 0) answer({ content: [] })
        }))
      await new Promise((resolve) => server.once("listening", resolve))
      const { port } = server.address() as { readonly port: number }
      return { server, received, port }
    }),
    ({ server }) => Effect.sync(() => server.close())
  ).pipe(Effect.map(({ port, received }) => ({
    config: { transport: "websocket", url: `ws://127.0.0.1:${port}/`, protocol: "legacy" } as const,
    transports: Transports.layer,
    received: () => received
  }))),
  memory: Effect.sync(() => {
    const received: Array<number> = []
    const serve = (peer: SdkTransport) => {
      peer.onmessage = (message: JSONRPCMessage) => {
        if (!("method" in message) || !("id" in message)) return
        const { id, method, params } = message
        const answer = (result: Record<string, unknown>) => void peer.send({ jsonrpc: "2.0", id, result })
        if (method === "initialize") return answer(initialized)
        const { number } = (params?.arguments ?? { number: -1 }) as { readonly number: number }
        received.push(number)
        if (number === last) void peer.close()
        else if (number % 2 === 0) answer({ content: [] })
      }
      return peer.start()
    }
    return {
      config: { transport: "stdio", command: "none", args: [], protocol: "legacy" },
      transports: Memory.layerTransports({ s: serve }),
      received: () => received
    }
  })
})

const connect = Effect.fnUntraced(function*({ config, transports }: Peer) {
  const [definition] = yield* ServerConfig.decodeServers({ servers: { s: config }, path: [] })
  if (definition === undefined) return assert.fail("one definition decodes to one")
  const factory = yield* Effect.provide(Transport.Transports, transports)
  const transport = yield* Effect.provide(Transport.Transport, yield* Layer.build(factory.transport(definition)))
  const connection = yield* transport.connect
  yield* connection.initialize
  return connection
})

describe("a request", () => {
  const last = 101
  for (const [kind, peer] of Object.entries(peers(last))) {
    it.live(`that was written never ends as NotSent, and no other reaches the server: ${kind}`, () =>
      Effect.gen(function*() {
        const running = yield* peer
        const connection = yield* connect(running)
        const requests = Array.from({ length: 200 }, (_, number) => request(number))
        const cancelled = requests.filter(({ number }) => number % 14 === 7)
        const [before, after] = [requests.slice(0, 90), requests.slice(90)]
        for (const request of before) connection.send(request)
        for (const request of cancelled) if (request.number < 90) connection.cancel(request)
        // A cancelled request may have run only if it says so.
        for (const request of before) if (cancelled.includes(request)) assert.isTrue(request.isWritten)
        yield* until(() => running.received().length, (received) => received >= 90)
        for (const request of after) connection.send(request)
        const reason = yield* connection.closed
        assert.strictEqual(reason.delivery, "Unknown")
        for (const request of requests) {
          const isCancelled = request.number < 90 && cancelled.includes(request)
          assert.isAtMost(request.outcomes.length, isCancelled ? 0 : 1, `${request.number}`)
          if (isCancelled) continue
          const delivery = deliveryOf(request)
          assert.strictEqual(request.outcomes.length, 1, `${request.number}`)
          if (delivery !== "none") {
            assert.strictEqual(delivery, request.isWritten ? "Unknown" : "NotSent", `${request.number}`)
          }
        }
        for (const number of running.received()) assert.isTrue(requests[number]?.isWritten, `${number}`)
        const late = request(1000)
        connection.send(late)
        assert.strictEqual(deliveryOf(late), "NotSent")
        assert.isFalse(late.isWritten)
      }).pipe(Effect.scoped))
  }

  it.live("that cannot be encoded fails at once, and is not written", () =>
    Effect.gen(function*() {
      const connection = yield* connect(yield* peers(0).stdio ?? Effect.die("there is one"))
      const params: Record<string, unknown> = {}
      params.self = params
      const circular = { ...request(1), params }
      connection.send(circular)
      assert.strictEqual(deliveryOf(circular), "NotSent")
      assert.isFalse(circular.isWritten)
    }).pipe(Effect.scoped))
})
