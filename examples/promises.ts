/**
 * Plain TypeScript, without Effect: promises, `await using`, `AbortSignal`, and errors that the compiler knows.
 */
import { isSessionError, McpSessions, text } from "@mcp-sessions/transports"

export const main = async (): Promise<ReadonlyArray<string>> => {
  await using sessions = McpSessions.open({
    servers: {
      everything: { command: "mcp-server-everything", args: ["stdio"] },
      missing: { command: "not-installed-here" }
    },
    handlers: { elicitation: async () => ({ action: "decline" }) },
    retry: { times: 3, delay: 1000 }
  })
  const seen: Array<string> = []
  await using everything = await sessions.get("everything")
  seen.push(`${(await everything.listTools()).length > 5}`)

  const signal = AbortSignal.timeout(30_000)
  const onProgress = ({ progress, total }: { readonly progress: number; readonly total?: number | undefined }) => {
    seen.push(`${progress} of ${total}`)
  }
  const args = { duration: 0.2, steps: 2 }
  const result = await everything.callTool("trigger-long-running-operation", args, { signal, onProgress })
  seen.push(text(result))

  try {
    await sessions.callTool("missing", "anything")
  } catch (error) {
    if (!isSessionError(error)) throw error
    seen.push(`${error.reason._tag}, ${error.delivery}`)
  }
  return seen
}

if (import.meta.main) console.log(await main())
