/**
 * Records commands of the command line in a pseudo-terminal and writes them to `docs/cli.svg` (`pnpm recording`). Times are replaced, so that
 * two recordings differ only if the output does.
 */
import * as Effect from "effect/Effect"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import process from "node:process"
import { start } from "../test/cli/pseudoTerminal.ts"
import { write } from "./markdown.ts"
import { draw, type Scene } from "./recordingSvg.ts"

/** The picture. */
export const file = "docs/cli.svg"

/** The size of the terminal. */
export const size = { columns: 100, rows: 40 }

/** The configuration of the project in which the commands run. */
export const configuration = {
  mcpServers: {
    everything: { command: "mcp-server-everything", args: ["stdio"] },
    broken: { command: "no-such-server" }
  }
}

/** The commands in their order: each may need what those before it have done. */
export const commands: ReadonlyArray<string> = [
  "mcp-sessions config trust",
  "mcp-sessions check",
  "mcp-sessions tools everything --grep sum",
  "mcp-sessions call everything/get-sum a=2 b=3",
  "mcp-sessions call everything/get-sun a=2 b=3",
  "mcp-sessions with everything -- sh -c '\n  for n in 1 2 3; do mcp-sessions call everything/get-sum a=$n b=$n; done'"
]

/** Draws the picture. Times of measurements have the same text in each recording. */
export const drawAll = (scenes: ReadonlyArray<Scene>): string =>
  draw({
    columns: size.columns,
    scenes: scenes.map(({ command, output }) => ({
      command,
      output: output.map((line) =>
        line.map(({ look, text }) => ({ look, text: text.replaceAll(/\b\d\.\d\ds\b/g, "0.58s") }))
      )
    }))
  })

const root = join(import.meta.dirname, "..")

/** Creates a project with the configuration and a command `mcp-sessions`, and removes it with the scope. */
const project = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "recording-"))
    const command = join(directory, "mcp-sessions")
    writeFileSync(join(directory, ".mcp.json"), JSON.stringify(configuration))
    const program = join(root, "packages/cli/src/bin.ts")
    writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
    chmodSync(command, 0o755)
    return directory
  }),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/** Runs the commands one after another, and draws the picture. */
const record = Effect.scoped(Effect.gen(function*() {
  const directory = yield* project
  const path = [directory, join(root, "test/node_modules/.bin"), process.env.PATH].join(delimiter)
  const env = { PATH: path, HOME: directory, XDG_RUNTIME_DIR: directory, TERM: "xterm-256color", LANG: "C.UTF-8" }
  const scenes = yield* Effect.forEach(commands, (command) =>
    Effect.scoped(Effect.gen(function*() {
      const terminal = yield* start({ command: "sh", args: ["-c", command], directory, env, ...size })
      yield* terminal.exit
      return { command, output: terminal.runs() }
    })))
  return drawAll(scenes)
}))

if (process.argv[1] === import.meta.filename) write(file, await Effect.runPromise(record))
