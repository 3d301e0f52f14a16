/**
 * Runs the published bundle in a pseudo-terminal.
 */
import type { Effect, Scope } from "effect"
import { bin, trusting, type Workplace } from "./cli.ts"
import * as PseudoTerminal from "./pseudoTerminal.ts"

export const keys = { ctrlC: "\u0003", ctrlD: "\u0004", enter: "\r", tab: "\t", up: "\u001b[A", escape: "\u001b" }

export interface TerminalOptions {
  readonly columns?: number
  readonly rows?: number
  readonly env?: Record<string, string>
}

/** Starts a command in a pseudo-terminal. It is killed with the scope. */
export const start = (
  place: Workplace,
  words: ReadonlyArray<string>,
  options: TerminalOptions = {}
): Effect.Effect<PseudoTerminal.PseudoTerminal, never, Scope.Scope> => {
  const { columns = 80, env = {}, rows = 24 } = options
  return PseudoTerminal.start({
    command: process.execPath,
    args: [bin, ...trusting(words, env)],
    directory: place.directory,
    env: { PATH: process.env.PATH ?? "", HOME: place.directory, TERM: "xterm-256color", LANG: "C.UTF-8", ...env },
    columns,
    rows
  })
}
