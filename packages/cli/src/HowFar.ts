/**
 * How far a request has come, in the few words that a line has room for.
 *
 * @since 0.1.0
 */
import type { Progress } from "@mcp-sessions/core/Mcp"

/** A server's message may be a log; what fits beside the rest of the line is enough of it. */
const longestMessage = 40

/**
 * What a report says: `30%`, or `3` where nobody knows of how many, and the beginning of what the server adds, on one line.
 *
 * @category rendering
 * @since 0.1.0
 */
export const howFar = ({ message = "", progress, total }: Progress): string => {
  const amount = total !== undefined && total > 0 ? `${Math.floor(100 * progress / total)}%` : String(progress)
  const words = message.replaceAll(/\s+/g, " ").trim()
  const shown = words.length > longestMessage ? `${words.slice(0, longestMessage - 1)}…` : words
  return shown === "" ? amount : `${amount} ${shown}`
}
