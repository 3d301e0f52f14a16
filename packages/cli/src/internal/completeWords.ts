/**
 * The hidden flag `--complete`: prints the words that may stand in place of the last one, each on a line. Loads the configuration, and connects
 * to nothing.
 */
import * as ConfigFile from "@mcp-sessions/core/ConfigFile"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import process from "node:process"
import { complete, type Sources } from "../Completion.ts"
import { type ConfiguredServer, fromEntry } from "../Configured.ts"
import { type Invocation, layer } from "../Invocation.ts"
import { split } from "../ShellWords.ts"
import * as ToolNames from "../ToolNames.ts"
import { commandTree } from "./commandTree.ts"
import { host } from "./host.ts"

/** The files that the words name by `--config`. */
const filesOf = (words: ReadonlyArray<string>): ReadonlyArray<string> =>
  words.flatMap((word, index) => {
    const joined = /^--config=(.+)$/.exec(word)?.[1]
    const next = word === "--config" || word === "-c" ? words[index + 1] : undefined
    return [joined, next].filter((file) => file !== undefined)
  })

const bashEscape = (text: string): string => text.replaceAll(/[^\w@%+=:,./-]/g, (character) => `\\${character}`)

/** What bash puts its words in place of: the part after the last of its word breaks. */
const afterBreak = (...[value, word, breaks]: readonly [value: string, word: string, breaks: string]): string => {
  const last = Math.max(
    ...[...breaks].filter((character) => /[=:@]/.test(character)).map((one) => word.lastIndexOf(one))
  )
  return value.slice(last + 1)
}

const configured = (files: ReadonlyArray<string>) =>
  ConfigFile.load({ files: files.length === 0 ? undefined : files }).pipe(
    Effect.map(({ servers }) => servers.map(fromEntry)),
    Effect.orElseSucceed((): ReadonlyArray<ConfiguredServer> => [])
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
    const servers = yield* configured(filesOf(words))
    const sources: Sources<Invocation> = {
      servers: Effect.succeed(servers.filter(({ isDisabled }) => !isDisabled).map(({ name }) => name)),
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
  return Effect.runPromise(Effect.provide(program, Layer.provideMerge(host, layer)))
}
