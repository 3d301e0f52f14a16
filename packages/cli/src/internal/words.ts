/**
 * Splits the words of the command line at `--`.
 */

/** Flags of the root command that take the next word. */
const valueFlags = new Set(["--config", "-c", "--header"])

/** The commands that use one server or more. In them, the words after `--` start a server. */
const serverCommands = new Set([
  "call",
  "check",
  "complete",
  "emit-ts",
  "logs",
  "prompt",
  "prompts",
  "read",
  "resources",
  "serve",
  "tools",
  "watch"
])

/** Returns the name of the command: the first word that is neither a flag nor the value of one. */
const commandOf = (words: ReadonlyArray<string>): string | undefined => {
  const index = words.findIndex((word, index) => !word.startsWith("-") && !valueFlags.has(words[index - 1] ?? ""))
  return words[index]
}

/** The commands that use all servers if their words name none. */
const allServersCommands = new Set(["check", "prompts", "resources", "serve", "tools", "watch"])

/** Returns a command that works without a configuration: that of the words, if it takes a server after `--` and nothing else. */
export const withoutConfiguration = (words: ReadonlyArray<string>): string => {
  const command = commandOf(words) ?? ""
  return `mcp-sessions ${allServersCommands.has(command) ? command : "tools"} -- npx -y some-server`
}

/** The words of this program, and those that start a server. */
interface SplitWords {
  readonly own: ReadonlyArray<string>
  readonly serverCommand: ReadonlyArray<string>
}

/**
 * Splits the words before and after `--`, in commands that use servers. Words after `--` that begin with a dash are ordinary words that
 * look like flags, as in `tools -- -x`.
 */
export const splitWords = (words: ReadonlyArray<string>): SplitWords => {
  const at = words.indexOf("--")
  const after = words.slice(at + 1)
  const isCommand = at >= 0 && after.length > 0 && !(after[0] ?? "").startsWith("-") &&
    serverCommands.has(commandOf(words.slice(0, at)) ?? "")
  return isCommand ? { own: words.slice(0, at), serverCommand: after } : { own: words, serverCommand: [] }
}

/** Whether the words ask for JSON. */
export const wantsJson = (words: ReadonlyArray<string>): boolean =>
  splitWords(words).own.some((word) => word === "--json" || word === "--json=true")
