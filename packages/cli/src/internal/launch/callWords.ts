/**
 * Reads the words of a call as far as they decide which process is started. Loads nothing but Node.
 */
import { splitWords } from "../words.ts"

/** The words that decide which process a call starts. */
export interface CallWords {
  /** The files that flags name, as written. */
  readonly config: ReadonlyArray<string>
  /** The part of the target before its first slash; `undefined` if the words after `--` start the server. */
  readonly server: string | undefined
  /** The words after `--`. */
  readonly command: ReadonlyArray<string>
}

const configFlags = new Set(["--config", "-c"])
const valueFlags = new Set([...configFlags, "--args", "--timeout"])
const booleanFlags = new Set(["--json", "--raw"])

/** Splits the words of `call` into its own words and the files of flags; `undefined` for a flag that is not in the lists. */
const splitFlags = (own: ReadonlyArray<string>) => {
  const config: Array<string> = []
  const positional: Array<string> = []
  const words = own.values()
  for (const word of words) {
    if (!word.startsWith("-")) {
      positional.push(word)
      continue
    }
    if (booleanFlags.has(word)) continue
    const at = word.startsWith("--") ? word.indexOf("=") : -1
    const flag = at < 0 ? word : word.slice(0, at)
    if (!valueFlags.has(flag)) return undefined
    const value = at < 0 ? words.next().value : word.slice(at + 1)
    if (value === undefined || value.startsWith("-")) return undefined
    if (configFlags.has(flag)) config.push(value)
  }
  return { config, positional }
}

/**
 * Reads the words of a call that starts one process and then asks nothing but its server. `undefined`: any other words, those with a flag that
 * could change what is started among them.
 */
export const callWordsOf = (words: ReadonlyArray<string>): CallWords | undefined => {
  const { own, serverCommand } = splitWords(words)
  const { config, positional: [command, target = ""] } = splitFlags(own) ?? { config: [], positional: [] }
  if (command !== "call" || target === "") return undefined
  if (serverCommand.length > 0) return { config, server: undefined, command: serverCommand }
  const [server = "", ...tool] = target.split("/")
  return server === "" || server.endsWith(":") || tool.join("/") === "" ? undefined : { config, server, command: [] }
}
