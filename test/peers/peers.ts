/**
 * All clients. Each is loaded on request, as some take their time. Those in `others` need the packages of this directory.
 */
import type { Peer } from "./Peer.ts"

export const peers: Readonly<Record<string, string>> = {
  "mcp-sessions": "clients/mcpSessions.ts",
  "SDK v1": "clients/sdkV1.ts",
  "SDK v2": "clients/sdkV2.ts",
  "effect/ai": "clients/effectAi.ts",
  LangChain: "others/langchain.ts",
  "AI SDK": "others/aiSdk.ts",
  Mastra: "others/mastra.ts"
}

export const load = async (name: string): Promise<Peer> => {
  const file = peers[name]
  if (file === undefined) throw new Error(`there is no client ${name}`)
  return (await import(new URL(file, import.meta.url).href)).peer
}
