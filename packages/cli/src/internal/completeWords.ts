/**
 * The hidden flag `--complete`: prints the words that may stand in place of the last one, each on a line. Loads the configuration, and connects
 * to nothing.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import process from "node:process"
import { complete, type Sources } from "../Completion.ts"
import { load } from "../ConfigFiles.ts"
import { Invocation, layer } from "../Invocation.ts"
import { split } from "../ShellWords.ts"
import * as ToolNames from "../ToolNames.ts"
import { commandTree } from "./commandTree.ts"

/** The file that the words name by `--config`. */
const configOf = (words: ReadonlyArray<string>): string | undefined => {
  const index = words.findIndex((word) => word === "--config" || word === "-c")
  return index === -1
    ? words.map((word) => /^--config=(.+)$/.exec(word)?.[1]).find((file) => file !== undefined)
    : words[index + 1]
}

const bashEscape = (text: string): string => text.replaceAll(/[^\w@%+=:,./-]/g, (character) => `\\${character}`)

/** What bash puts its words in place of: the part after the last of its word breaks. */
const afterBreak = (...[value, word, breaks]: readonly [value: string, word: string, breaks: string]): string => {
  const last = Math.max(
    ...[...breaks].filter((character) => /[=:@]/.test(character)).map((one) => word.lastIndexOf(one))
  )
  return value.slice(last + 1)
}

const configured = (file: string | undefined) =>
  Effect.flatMap(Invocation, ({ directory, environment }) => load({ file, directory, environment })).pipe(
    Effect.orElseSucceed(() => [])
  )

const none = () => Effect.succeed([])

/** Completes the words of a shell. The first is the name of the shell. */
export const completeWords = ([shell = "", ...rest]: ReadonlyArray<string>): Promise<void> => {
  const [breaks = "", text = ""] = rest
  // bash splits words at other places than everyone else, so it gives the line.
  const line = shell === "bash" ? split(text) : undefined
  const isAfterSpace = line !== undefined && line.lastStart === text.length
  const words = line === undefined ? rest : [...line.words.slice(1), ...(isAfterSpace ? [""] : [])]
  const program = Effect.gen(function*() {
    const servers = yield* configured(configOf(words))
    const sources: Sources<Invocation> = {
      servers: Effect.succeed(servers.filter(({ config }) => !config.disabled).map(({ name }) => name)),
      tools: (name) => {
        const server = servers.find((server) => server.name === name)
        return server === undefined
          ? Effect.succeed([])
          : Effect.map(ToolNames.read(server), (names) => names.map((value) => ({ value })))
      },
      prompts: none,
      resources: none,
      args: none
    }
    const candidates = yield* complete({ tree: commandTree, words, sources })
    const lines = candidates.map(({ description, value }) => {
      if (shell === "bash") return bashEscape(afterBreak(value, words.at(-1) ?? "", breaks))
      const summary = description?.replaceAll(/[\p{Cc}\s]+/gu, " ").trim() ?? ""
      return shell === "zsh" || summary === "" ? value : `${value}\t${summary}`
    })
    process.stdout.write(lines.map((line) => `${line}\n`).join(""))
  })
  return Effect.runPromise(Effect.provide(program, Layer.merge(layer, NodeServices.layer)))
}
