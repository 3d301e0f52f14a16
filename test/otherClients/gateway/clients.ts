/** The official SDKs and the commands of other people, at a gateway. */
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client"
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { clientInfo } from "../ComparedClient.ts"
import type { GatewaySession, OpenAtGateway } from "./GatewayClient.ts"

const installed = (path: string): string => fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url))

/** Uses a connected client of SDK v1. */
const sessionOf = (client: ClientV1, close: () => Promise<unknown>): GatewaySession => ({
  list: async () => (await client.listTools()).tools.map(({ name }) => name),
  call: (name, args) => client.callTool({ name, arguments: args }),
  reports: async (name, args) => {
    let reports = 0
    await client.callTool({ name, arguments: args }, undefined, { onprogress: () => void reports++ })
    return reports
  },
  read: (uri) => client.readResource({ uri }),
  close
})

export const sdkV1: OpenAtGateway = async (url) => {
  const client = new ClientV1(clientInfo)
  const transport = new TransportV1(new URL(url))
  // Its transports are not declared for `exactOptionalPropertyTypes`.
  await client.connect(transport as Parameters<ClientV1["connect"]>[0])
  return sessionOf(client, async () => {
    await transport.terminateSession()
    await client.close()
  })
}

export const sdkV2: OpenAtGateway = async (url) => {
  const client = new ClientV2(clientInfo, { versionNegotiation: { mode: "auto" } })
  await client.connect(new TransportV2(new URL(url)))
  return {
    list: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, args) => client.callTool({ name, arguments: args }),
    reports: async (name, args) => {
      let reports = 0
      await client.callTool({ name, arguments: args }, { onprogress: () => void reports++ })
      return reports
    },
    read: (uri) => client.readResource({ uri }),
    close: () => client.close()
  }
}

/** A client of SDK v1 on standard streams, which it connects to a URL. It drops the progress of all servers. */
export const supergateway: OpenAtGateway = async (url) => {
  const client = new ClientV1(clientInfo)
  const args = [installed("supergateway/dist/index.js"), "--streamableHttp", url, "--logLevel", "none"]
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: "ignore" }))
  const { reports: _, ...session } = sessionOf(client, () => client.close())
  return session
}

/** Runs a command in a directory of its own, and gives the JSON that it prints. */
const run = async (directory: string, args: ReadonlyArray<string>): Promise<unknown> => {
  const env = { PATH: process.env.PATH, HOME: directory, MCP_AUTO_OPEN_ENABLED: "false" }
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: directory,
    env,
    timeout: 60_000,
    maxBuffer: 16 * 1024 ** 2
  })
  return JSON.parse(stdout)
}

const namesOf = (listed: unknown): ReadonlyArray<string> =>
  (listed as { readonly tools: ReadonlyArray<{ readonly name: string }> }).tools.map(({ name }) => name)

const makeDirectory = (): string => mkdtempSync(join(tmpdir(), "at-gateway-"))

const remove = async (directory: string): Promise<void> => rmSync(directory, { recursive: true })

export const mcporter: OpenAtGateway = async (url) => {
  const directory = makeDirectory()
  const config = join(directory, "mcporter.json")
  writeFileSync(config, JSON.stringify({ mcpServers: { gateway: { url } }, imports: [] }))
  const command = (...words: ReadonlyArray<string>) =>
    run(directory, [installed("mcporter/dist/cli.js"), "--config", config, ...words])
  return {
    list: async () => namesOf(await command("list", "gateway", "--json")),
    call: (tool, args) => command("call", `gateway.${tool}`, "--args", JSON.stringify(args), "--output", "json"),
    read: (uri) => command("resource", "gateway", uri, "--json"),
    close: () => remove(directory)
  }
}

export const inspector: OpenAtGateway = async (url) => {
  const directory = makeDirectory()
  const launcher = installed("@modelcontextprotocol/inspector/clients/launcher/build/index.js")
  const command = (method: string, ...words: ReadonlyArray<string>) =>
    run(directory, [launcher, "--cli", url, "--transport", "http", "--method", method, ...words])
  return {
    list: async () => namesOf(await command("tools/list")),
    call: (tool, args) =>
      command(
        "tools/call",
        "--tool-name",
        tool,
        "--tool-arg",
        ...Object.entries(args).map(([key, value]) => `${key}=${value}`)
      ),
    read: (uri) => command("resources/read", "--uri", uri),
    close: () => remove(directory)
  }
}
