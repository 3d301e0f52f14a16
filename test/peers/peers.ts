/**
 * All clients. Each is loaded when it is asked for, as some take their time.
 */
import type { Peer } from "./Peer.ts"

export const peers: Readonly<Record<string, () => Promise<Peer>>> = {
  "mcp-sessions": async () => (await import("./clients/mcpSessions.ts")).peer,
  "SDK v1": async () => (await import("./clients/sdkV1.ts")).peer,
  "SDK v2": async () => (await import("./clients/sdkV2.ts")).peer,
  "effect/ai": async () => (await import("./clients/effectAi.ts")).peer,
  LangChain: async () => (await import("./clients/langchain.ts")).peer,
  "AI SDK": async () => (await import("./clients/aiSdk.ts")).peer,
  Mastra: async () => (await import("./clients/mastra.ts")).peer
}
