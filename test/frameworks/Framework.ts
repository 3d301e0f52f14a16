/**
 * A framework for agents, with a scripted model.
 */
import type { McpSessions } from "@mcp-sessions/transports"

/** The tools that the model calls in each of its turns. After the last, it says "done". */
export type Plan = ReadonlyArray<ReadonlyArray<string>>

export interface Framework {
  /** Runs an agent. Gives its last words, and what the model saw of each call. */
  readonly run: (
    options: { readonly tools: McpSessions.McpTools; readonly plan: Plan }
  ) => Promise<{ readonly said: string; readonly seen: ReadonlyArray<string> }>
  /** Runs an agent whose only call needs the approval of a person. Gives whether it waits for that. */
  readonly waitsForApproval: (
    options: { readonly tools: McpSessions.McpTools; readonly tool: string }
  ) => Promise<boolean>
}
