/**
 * The commands that can run at the process that holds their sessions. Loads nothing but Node.
 */

const names: ReadonlySet<string> = new Set([
  "call",
  "check",
  "complete",
  "down",
  "logs",
  "prompt",
  "prompts",
  "read",
  "resources",
  "restart",
  "status",
  "tools",
  "watch"
])

/** The flags before a command that take a value. */
const valueFlags: ReadonlySet<string> = new Set(["--config", "-c", "--header"])

/** Returns the command of the words, if it can use held sessions. A command with `--` starts a server of its own. */
export const heldCommandOf = (words: ReadonlyArray<string>): string | undefined => {
  if (words.includes("--")) return undefined
  const command = words.find((word, index) => !word.startsWith("-") && !valueFlags.has(words[index - 1] ?? ""))
  return command !== undefined && names.has(command) ? command : undefined
}
