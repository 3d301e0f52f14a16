/**
 * The programs that are compared, each in a process of its own: the pipe, the gateway and the client.
 */
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Gateway from "@mcp-sessions/transports/Gateway"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { once } from "node:events"
import { Agent as HttpAgent, createServer, request as forward } from "node:http"
import { createInterface } from "node:readline"
import { Agent, request } from "undici"
import type { Score, Spell } from "../contender.ts"
import { heap } from "../soak/vitals.ts"

const token = "a-token-for-the-bench"

/** Passes every request on as it is, and reads nothing of it. */
export const pipe = (url: string): void => {
  const agent = new HttpAgent({ keepAlive: true })
  const server = createServer((incoming, outgoing) => {
    const { headers, method } = incoming
    const sent = forward(url, { method, headers, agent }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(outgoing)
    })
    incoming.pipe(sent)
  })
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    console.log(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}${new URL(url).pathname}`)
  })
  process.stdin.resume().on("end", () => process.exit(0))
}

/**
 * Serves servers until its input ends, with a bearer token. It has no limit of requests per second, because it handles more than the default.
 * Answers each line of its input with the bytes of its heap.
 */
export const gateway = (servers: Readonly<Record<string, ServerConfigInput>>): Promise<void> =>
  Effect.runPromise(
    Effect.gen(function*() {
      const { url } = yield* Gateway.Gateway
      console.log(url)
      const orders = createInterface(process.stdin).on("line", () => console.log(heap()))
      yield* Effect.promise(() => once(orders, "close"))
    }).pipe(
      Effect.provide(
        Gateway.layer({
          sessions: Sessions.layer({ servers }),
          tokens: { bench: Redacted.make(token) },
          limits: { requestsPerSecond: 1_000_000 }
        }).pipe(Layer.provide(Transports.layer))
      )
    )
  )

export interface Client {
  /** Calls the tool. */
  readonly call: (tool: string) => Promise<string>
}

/** Connects a client that does no more than it has to. It calls tools at another URL if it is given one. */
export const connect = async (url: string, dispatcher: Agent, callUrl: string = url): Promise<Client> => {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    authorization: `Bearer ${token}`
  }
  const post = (message: object, at = url) =>
    request(at, { dispatcher, method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", ...message }) })
  const params = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "raw", version: "1" }
  }
  const initialized = await post({ id: 0, method: "initialize", params })
  await initialized.body.text()
  const session = initialized.headers["mcp-session-id"]
  if (typeof session === "string") headers["mcp-session-id"] = session
  // Servers on the SDK write more events to clients of this revision than to those that name none.
  headers["mcp-protocol-version"] = params.protocolVersion
  await (await post({ method: "notifications/initialized" })).body.text()
  let id = 0
  const call = async (tool: string): Promise<string> => {
    const { body } = await post({
      id: ++id,
      method: "tools/call",
      params: { name: tool, arguments: { message: "hello" } }
    }, callUrl)
    const text = await body.text()
    return JSON.parse(text.startsWith("{") ? text : text.slice(text.lastIndexOf("data: ") + 6)).result.content[0].text
  }
  return { call }
}

/** What a spell of the client came to. */
export interface Measured extends Score {
  readonly calls: number
}

/** Makes calls for each spell that it is sent. */
export const client = async (url: string, tool: string = "echo", callUrl: string = url): Promise<void> => {
  const { call } = await connect(url, new Agent(), callUrl)
  if (!(await call(tool)).includes("hello")) throw new Error(`${url} does not echo`)
  process.on("message", async ({ inFlight, millis }: Spell) => {
    let calls = 0
    const cpu = process.cpuUsage()
    const start = performance.now()
    const worker = async () => {
      while (performance.now() - start <= millis) {
        await call(tool)
        calls++
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
    const { system, user } = process.cpuUsage(cpu)
    const seconds = (performance.now() - start) / 1000
    const measured: Measured = { calls, perSecond: calls / seconds, cpu: (system + user) / calls }
    process.send?.(measured)
  })
  process.on("disconnect", () => process.exit(0))
  process.send?.("connected")
}
