/**
 * Writes the table of commands of `docs/cli.md` from the commands themselves (`pnpm recording`).
 */
import type { CommandDescriptor } from "effect/cli/Completions"
import * as Effect from "effect/Effect"
import process from "node:process"
import { tree } from "../packages/cli/src/Cli.ts"
import { replace, table } from "./markdown.ts"

const cell = (text: string): string => text.replaceAll("|", "\\|")

/** A command with its arguments, as it is typed. */
const typed = ({ above, command }: { readonly above: string; readonly command: CommandDescriptor }): string =>
  [above, command.name, ...command.arguments.map(({ name }) => `<${name}>`)].filter((word) => word !== "").join(" ")

interface Options {
  readonly above: string
  readonly command: CommandDescriptor
  /** The names of the flags that all commands take. */
  readonly shared: ReadonlySet<string>
}

const rowsOf = ({ above, command, shared }: Options): ReadonlyArray<ReadonlyArray<string>> => {
  if (command.subcommands.length > 0) {
    const path = `${above} ${command.name}`.trim()
    return command.subcommands.flatMap((below) => rowsOf({ above: path, command: below, shared }))
  }
  const flags = command.flags.filter(({ name }) => !shared.has(name)).map(({ name }) => `\`--${name}\``)
  return [[`\`${cell(typed({ above, command }))}\``, cell(command.description ?? ""), flags.join(", ")]]
}

/** The table of all commands with the flags that each has of its own. */
export const commandTable: Effect.Effect<string> = Effect.map(tree, ({ flags, subcommands }) => {
  const shared = new Set(flags.map(({ name }) => name))
  return table(
    ["command", "what it does", "flags"],
    subcommands.flatMap((command) => rowsOf({ above: "", command, shared }))
  )
})

if (process.argv[1] === import.meta.filename) {
  replace("docs/cli.md", "commands", await Effect.runPromise(commandTable))
}
