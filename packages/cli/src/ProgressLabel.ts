/**
 * Formats the progress of a request as a short label.
 *
 * @since 0.1.0
 */
import type { Progress } from "@mcp-sessions/core/Mcp"

/** The longest message that is shown, in characters. Some servers send whole log lines. */
const messageLimit = 40

/**
 * Formats a progress notification on one line: `30%`, or `3` if the server does not know the total, followed by the beginning of the
 * server's message.
 *
 * @category rendering
 * @since 0.1.0
 */
export const progressLabel = ({ message = "", progress, total }: Progress): string => {
  const amount = total !== undefined && total > 0 ? `${Math.floor(100 * progress / total)}%` : String(progress)
  const words = message.replaceAll(/\s+/g, " ").trim()
  const shown = words.length > messageLimit ? `${words.slice(0, messageLimit - 1)}…` : words
  return shown === "" ? amount : `${amount} ${shown}`
}

/** The width of the bar, in characters. */
const barWidth = 20

/**
 * Formats a progress notification as a bar and a label: `███████░░░░░░░░░░░░░ 35% reading`. Without a total, there is no bar.
 *
 * @category rendering
 * @since 0.1.0
 */
export const progressBar = (progress: Progress): string => {
  const { total } = progress
  if (total === undefined || !(total > 0)) return progressLabel(progress)
  const full = Math.round(barWidth * Math.min(1, Math.max(0, progress.progress / total)))
  return `${"█".repeat(full)}${"░".repeat(barWidth - full)} ${progressLabel(progress)}`
}
