/**
 * Starts what is compared: gateways of ours and of others, the pipe, and servers.
 */
import type { ServerConfigInput } from "@mcp-sessions/core/ServerConfig"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createInterface } from "node:readline"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { request } from "undici"

/** A program that listens, and ends with its input or by SIGTERM. */
export interface Started {
  readonly child: ChildProcess
  readonly url: string
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

const bench = path("../gateway.ts")
const server = path("../fixtures/server.mjs")
const others = path("../../test/otherClients/node_modules")

/** Starts a program whose first line is its URL. */
const startPrinting = async (args: ReadonlyArray<string>): Promise<Started> => {
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
  const [url] = await once(createInterface(child.stdout), "line") as [string]
  return { child, url }
}

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === "object" ? address?.port ?? 0 : 0
}

/** Starts a program on a free port, and waits until it responds. */
const startOnPort = async (argsOf: (port: string) => ReadonlyArray<string>): Promise<Started> => {
  const port = String(await freePort())
  const child = spawn(process.execPath, argsOf(port), {
    env: { ...process.env, PORT: port },
    stdio: ["pipe", "ignore", "ignore"]
  })
  const url = `http://127.0.0.1:${port}/mcp`
  for (let tries = 0; tries < 600; tries++) {
    const isUp = await request(url).then(({ body }) => body.dump().then(() => true), () => false)
    if (isUp) return { child, url }
    await setTimeout(50)
  }
  throw new Error(`${argsOf(port).join(" ")} does not listen`)
}

export const startPipe = (url: string): Promise<Started> => startPrinting([bench, "pipe", url])

export const startGateway = (servers: Readonly<Record<string, ServerConfigInput>>): Promise<Started> =>
  startPrinting(["--expose-gc", bench, "gateway", JSON.stringify(servers)])

/** The server that does nothing but answer. */
export const startLeast = async (): Promise<Started> => {
  const { child, url: port } = await startPrinting([server, "http"])
  return { child, url: `http://127.0.0.1:${port}/json` }
}

/** The reference server on the SDK. */
export const startReference = (): Promise<Started> => {
  const program = fileURLToPath(import.meta.resolve("@modelcontextprotocol/server-everything/dist/index.js"))
  return startOnPort(() => [program, "streamableHttp"])
}

/** The server that does nothing but answer, on standard streams. */
const [command, ...args] = [process.execPath, server, "stdio", "legacy"] as const
export const leastOnStdio: ServerConfigInput = { command, args }

/** Gateways of others over that server. Each keeps a session for each client, as ours does, unless it cannot. */
export const startSupergateway = (): Promise<Started> =>
  startOnPort((port) => [
    `${others}/supergateway/dist/index.js`,
    "--stdio",
    [command, ...args].join(" "),
    "--outputTransport",
    "streamableHttp",
    "--stateful",
    "--port",
    port,
    "--logLevel",
    "none"
  ])

export const startMcpProxy = (): Promise<Started> =>
  startOnPort((port) => [
    `${others}/mcp-proxy/dist/bin/mcp-proxy.mjs`,
    "--port",
    port,
    "--host",
    "127.0.0.1",
    "--server",
    "stream",
    "--",
    command,
    ...args
  ])

/** The CPU time that the process of a program has used, in µs. Linux counts it in hundredths of a second. */
export const cpuOf = ({ child: { pid } }: Started): number => {
  const [, rest = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")
  const fields = rest.split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/** Ends a program. */
export const stop = ({ child }: Started): void => {
  child.stdin?.end()
  child.kill("SIGTERM")
}
