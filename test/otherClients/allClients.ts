/**
 * All clients. Each is loaded on request, as some take their time. Those in `others` need the packages of this directory.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"
import { fileURLToPath } from "node:url"
import type { ComparedClient, ServerOf } from "./ComparedClient.ts"

interface Entry {
  readonly file: string
  readonly package: string
  readonly hasWebSocket?: boolean
  /** Set for clients that speak the revision 2026-07-28. */
  readonly isModern?: boolean
}

export const clients: Readonly<Record<string, Entry>> = {
  "mcp-sessions": {
    file: "clients/mcpSessions.ts",
    package: "@mcp-sessions/core",
    hasWebSocket: true,
    isModern: true
  },
  "SDK v1": { file: "clients/sdkV1.ts", package: "@modelcontextprotocol/sdk", hasWebSocket: true },
  "SDK v2": { file: "clients/sdkV2.ts", package: "@modelcontextprotocol/client", isModern: true },
  "effect/ai": { file: "clients/effectAi.ts", package: "effect", isModern: true },
  LangChain: { file: "others/langchain.ts", package: "@langchain/mcp-adapters" },
  "AI SDK": { file: "others/aiSdk.ts", package: "@ai-sdk/mcp" },
  Mastra: { file: "others/mastra.ts", package: "@mastra/mcp" }
}

/** The clients that speak to a server. */
export const clientsOf = ({ era, kind }: ServerOf): ReadonlyArray<string> =>
  Object.keys(clients).filter((name) =>
    (kind !== "websocket" || clients[name]?.hasWebSocket) && (era !== "modern" || clients[name]?.isModern)
  )

/** The clients of other people, each with its package and the version that is installed. */
export const others = (): ReadonlyArray<readonly [client: string, from: string, version: string]> =>
  Object.entries(clients).slice(1).map(([name, { package: from }]) => {
    const manifest = findPackageJSON(from, import.meta.url)
    if (manifest === undefined) throw new Error(`${from} is not installed`)
    return [name, from, JSON.parse(readFileSync(manifest, "utf8")).version]
  })

export const load = (name: string): Promise<ComparedClient> =>
  import(new URL(clients[name]?.file ?? `${name} is no client`, import.meta.url).href)

/** Runs a program that uses a client in a process of its own. `next` gives its next message, and fails if it ends before. */
export const forkClient = (program: URL, args: ReadonlyArray<string>) => {
  // The rest of this environment could make clients log or send telemetry.
  const { HOME, PATH } = process.env
  const child = fork(fileURLToPath(program), args, {
    env: { HOME, PATH, MASTRA_TELEMETRY_DISABLED: "1" },
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"]
  })
  let stderr = ""
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    stderr = (stderr + text).slice(-10_000)
  })
  const next = async (): Promise<unknown> => {
    const ended = new AbortController()
    const exited = once(child, "exit", ended).then(() => {
      throw new Error(`${args.join(" ")} ended without a message: ${stderr}`)
    })
    const [message] = await Promise.race([once(child, "message", ended), exited])
    ended.abort()
    return message
  }
  return { child, next }
}
