/**
 * The picture of the command line, whose recording takes a process for each command. Here one server answers them, within this process.
 */
import { assert, describe, it } from "@effect/vitest"
import { run } from "@mcp-sessions/cli/Cli"
import { Invocation, type OutputStream } from "@mcp-sessions/cli/Invocation"
import { Effect } from "effect"
import { read } from "../../tools/markdown.ts"
import { commands, configuration, drawAll, file, size } from "../../tools/recording.ts"
import { captured, workplace } from "./cli.ts"
import { heldAt, runAt } from "./heldClient.ts"
import { render } from "./pseudoTerminal.ts"

const wordsOf = (command: string): ReadonlyArray<string> => command.split(" ").slice(1)

describe("the picture of the command line", () => {
  it.live("shows commands with what they print (pnpm recording)", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* workplace
      place.write(".mcp.json", configuration)
      const env = { XDG_RUNTIME_DIR: place.directory }

      /** Runs a command that opens its own sessions. */
      const alone = (command: string) =>
        Effect.gen(function*() {
          const screen: OutputStream & { readonly text: () => string } = { ...captured(size.columns), hasColours: true }
          const invocation = { ...place.invocation({ env }), stdout: screen, stderr: screen }
          yield* Effect.provideService(run(wordsOf(command)), Invocation, invocation)
          return screen.text()
        })
      const [trust = "", check = "", ...calls] = commands
      const texts = [yield* alone(trust), yield* alone(check)]

      yield* Effect.forkScoped(place.run(["up", "everything"], { env }), { startImmediately: true })
      const socket = yield* heldAt(place.directory, env)
      const terminal = { isTerminal: true, hasColours: true, ...size }
      /** Runs a command with the held session. */
      const held = (words: ReadonlyArray<string>) =>
        Effect.map(
          runAt(socket, { words, directory: place.directory, hello: { stdout: terminal, stderr: terminal } }),
          ({ stderr, stdout }) => stderr + stdout
        )
      for (const command of calls) {
        const [, list = "", template = ""] = /for n in ([\d ]+); do (.*); done'$/.exec(command) ?? []
        const all = list === ""
          ? [command]
          : list.split(" ").map((n) => template.replaceAll("$n", n))
        texts.push((yield* Effect.forEach(all, (one) => held(wordsOf(one)))).join(""))
      }
      const outputs = yield* Effect.forEach(texts, (text) => render({ text, ...size }))
      const scenes = commands.map((command, index) => ({ command, output: outputs[index] ?? [] }))
      assert.strictEqual(drawAll(scenes), read(file))
    })))
})
