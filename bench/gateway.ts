/**
 * Compares calls through a gateway with calls of the server itself, and with a pipe of bytes on `node:http` in the gateway's place. Prints a
 * table; `--write` also writes it to `docs/performance.md` (`pnpm bench:gateway`).
 *
 * Server, pipe and gateway are processes of their own, and so is the client, which is the raw one for all three. The gateway has a bearer
 * token, and no limit of requests per second: it handles more than the default.
 */
import * as Sessions from "@mcp-sessions/core/Sessions"
import * as Gateway from "@mcp-sessions/transports/Gateway"
import * as Transports from "@mcp-sessions/transports/Transports"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { type ChildProcess, fork, spawn } from "node:child_process"
import { once } from "node:events"
import { Agent as HttpAgent, createServer, request as forward } from "node:http"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Agent, request } from "undici"
import { replace, table } from "../tools/markdown.ts"
import type { Score, Spell } from "./contender.ts"
import { median, medianRatio, takeTurns } from "./rounds.ts"

const [rounds, millis, inFlight] = [21, 250, 64]
const token = "a-token-for-the-bench"

const [, , role = "", target = ""] = process.argv

/** Passes every request on as it is, and reads nothing of it. */
const pipe = (url: string): void => {
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

/** Serves one server with a gateway, until its input ends. */
const gateway = (url: string): Promise<void> =>
  Effect.runPromise(
    Effect.gen(function*() {
      const { url } = yield* Gateway.Gateway
      console.log(url)
      yield* Effect.promise(() => once(process.stdin.resume(), "end"))
    }).pipe(
      Effect.provide(
        Gateway.layer({
          sessions: Sessions.layer({ servers: { server: { url } } }),
          tokens: { bench: Redacted.make(token) },
          limits: { requestsPerSecond: 1_000_000 }
        }).pipe(Layer.provide(Transports.layer))
      )
    )
  )

/** Makes calls for each spell that it is sent. */
const client = async (url: string): Promise<void> => {
  const dispatcher = new Agent()
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    authorization: `Bearer ${token}`
  }
  const post = (message: object) =>
    request(url, { dispatcher, method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", ...message }) })
  const clientInfo = { name: "raw", version: "1" }
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo }
  const initialized = await post({ id: 0, method: "initialize", params })
  await initialized.body.text()
  const session = initialized.headers["mcp-session-id"]
  if (typeof session === "string") headers["mcp-session-id"] = session
  // Servers on the SDK write more events to clients of this revision than to those that name none.
  headers["mcp-protocol-version"] = params.protocolVersion
  let id = 0
  const call = async (): Promise<string> => {
    const { body } = await post({
      id: ++id,
      method: "tools/call",
      params: { name: "echo", arguments: { message: "hello" } }
    })
    const text = await body.text()
    return JSON.parse(text.startsWith("{") ? text : text.slice(text.indexOf("data: ") + 6)).result.content[0].text
  }
  if (!(await call()).includes("hello")) throw new Error(`${url} does not echo`)
  process.on("message", async ({ inFlight, millis }: Spell) => {
    let calls = 0
    const cpu = process.cpuUsage()
    const start = performance.now()
    const worker = async () => {
      while (performance.now() - start <= millis) {
        await call()
        calls++
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
    const { system, user } = process.cpuUsage(cpu)
    const score: Score = { perSecond: calls / (performance.now() - start) * 1000, cpu: (system + user) / calls }
    process.send?.(score)
  })
  process.on("disconnect", () => process.exit(0))
  process.send?.("connected")
}

/** Starts a program that prints one line, and gives the line. */
const startProgram = async (
  args: ReadonlyArray<string>
): Promise<{ readonly child: ChildProcess; readonly line: string }> => {
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
  const [line] = await once(createInterface(child.stdout), "line") as [string]
  return { child, line }
}

/** Starts the reference server on the SDK over HTTP, and gives its URL. */
const startReference = async () => {
  const program = fileURLToPath(import.meta.resolve("@modelcontextprotocol/server-everything/dist/index.js"))
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  const port = typeof address === "object" ? address?.port ?? 0 : 0
  await new Promise((resolve) => probe.close(resolve))
  const child = spawn(process.execPath, [program, "streamableHttp"], {
    env: { ...process.env, PORT: String(port) },
    stdio: ["pipe", "ignore", "pipe"]
  })
  await once(createInterface(child.stderr), "line")
  for (let tries = 0; tries < 100; tries++) {
    const isUp = await request(`http://127.0.0.1:${port}/`).then(
      ({ body }) => body.dump().then(() => true),
      () => false
    )
    if (isUp) break
  }
  return { child, url: `http://127.0.0.1:${port}/mcp` }
}

const self = fileURLToPath(import.meta.url)

/** Compares the ways to one server. */
const compare = async ({ title, url }: { readonly title: string; readonly url: string }): Promise<string> => {
  const piped = await startProgram([self, "pipe", url])
  const served = await startProgram([self, "gateway", url])
  const ways = [["direct", url], ["pipe of bytes", piped.line], ["gateway", served.line]] as const
  const contenders = await Promise.all(ways.map(async ([name, url]) => {
    const child = fork(self, ["client", url])
    await once(child, "message")
    const run = async (spell: Spell): Promise<Score> => {
      child.send(spell)
      const [score] = await once(child, "message") as [Score]
      return score
    }
    return { name, run, close: () => child.disconnect() }
  }))
  for (const { run } of contenders) {
    await run({ millis: millis * 3, inFlight: 1 })
    await run({ millis: millis * 8, inFlight })
  }
  process.stderr.write(title)
  const turns = (inFlight: number) => takeTurns({ contenders, rounds, measure: ({ run }) => run({ millis, inFlight }) })
  const [alone, together] = [await turns(1), await turns(inFlight)]
  const rates = (all: ReadonlyArray<ReadonlyArray<Score>>, index: number) =>
    all[index]?.map(({ perSecond }) => perSecond) ?? []
  const micros = (index: number) =>
    1_000_000 / (median(rates(alone, 0)) * medianRatio(rates(alone, index), rates(alone, 0)))
  const rows = contenders.map(({ name }, index) => {
    const ratio = medianRatio(rates(together, index), rates(together, 0))
    return [
      name,
      micros(index).toFixed(0),
      (micros(index) - micros(0)).toFixed(0),
      Math.round(median(rates(together, 0)) * ratio).toLocaleString("en"),
      `${ratio.toFixed(2)}×`
    ]
  })
  for (const { close } of contenders) close()
  for (const { child } of [served, piped]) child.stdin?.end()
  return table([title, "µs per call", "µs added", "calls/s, 64 in flight", "to direct"], rows)
}

const compareAll = async (): Promise<void> => {
  const least = await startProgram([fileURLToPath(new URL("fixtures/server.mjs", import.meta.url)), "http"])
  const reference = await startReference()
  const tables = [
    await compare({ title: "server on the SDK", url: reference.url }),
    await compare({ title: "least server", url: `http://127.0.0.1:${least.line}/json` })
  ]
  const shown = tables.join("\n\n")
  console.log(shown)
  if (role === "--write") replace("docs/performance.md", "gateway", shown)
  for (const { child } of [least, reference]) child.kill("SIGTERM")
}

if (role === "pipe") pipe(target)
else if (role === "gateway") await gateway(target)
else if (role === "client") await client(target)
else await compareAll()
