/**
 * `shell`: runs commands one after another with sessions that stay open.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { CommandLine } from "../CommandLine.ts"
import { complete } from "../Completion.ts"
import { usableOf, withAnswers } from "../Configured.ts"
import { ProgramExited, UsageError } from "../Failure.ts"
import { type Held, HeldSessions } from "../HeldSessions.ts"
import { watchAges } from "../internal/holder/connectionAges.ts"
import { processId } from "../internal/processId.ts"
import { Invocation } from "../Invocation.ts"
import { type LineEditor, OpenEditor } from "../LineEditor.ts"
import * as LiveSources from "../LiveSources.ts"
import { Output } from "../Output.ts"
import * as ShellHistory from "../ShellHistory.ts"
import { quote, split } from "../ShellWords.ts"
import { line } from "../Shown.ts"
import { holdingFlags, openSessions } from "./holding.ts"
import { configFlags, root } from "./root.ts"
import { loadConfigured, selectServers } from "./selection.ts"

/** The largest script from standard input, in MiB. */
const scriptLimit = 4

/** The commands that hold sessions themselves. */
const refused: ReadonlySet<string> = new Set(["shell", "up", "down"])

type Lent = Omit<Held, "refuse" | "use">

/** Runs a command with the held sessions. One that needs other servers opens its own, from the same files. */
const runWith = (lent: Lent) =>
  Effect.fnUntraced(function*(words: ReadonlyArray<string>) {
    const { run } = yield* CommandLine
    const flags = configFlags(yield* root)
    const { note } = yield* Output
    const [command = ""] = words
    if (refused.has(command)) {
      yield* note(line`error[Usage]: ${command} cannot run within the shell, which holds sessions itself`)
      return 2
    }
    const declined = yield* Deferred.make<void>()
    const held: Held = {
      ...lent,
      use: (servers) =>
        servers.every((server) => lent.holder.servers.includes(server))
          ? Effect.void
          : Effect.andThen(Deferred.succeed(declined, undefined), Effect.never),
      refuse: Effect.void
    }
    const withHeld = Effect.map(Effect.provideService(run(words), HeldSessions, held), (status) => ({ status }))
    const { status } = yield* Effect.raceFirst(withHeld, Effect.as(Deferred.await(declined), { status: undefined }))
    return status ?? (yield* Effect.provideService(run([...flags, ...words]), HeldSessions, undefined))
  })

/** Reads one command, over several lines if quotes or brackets are open. `undefined` is the end; an empty command is a cancelled one. */
const readCommand = Effect.fnUntraced(function*(editor: LineEditor) {
  let text = ""
  for (;;) {
    const read = yield* editor.read(text === "" ? "mcp> " : "...> ")
    if (read._tag === "Ended") return undefined
    if (read._tag === "Cancelled") return ""
    text = text === "" ? read.text : `${text}\n${read.text}`
    if (split(text).isComplete) return text.replace(/\\\n/g, " ").trim()
  }
})

/** Completes the last word of a line, quoted as the line needs it. */
const completeLine = (sources: ReturnType<typeof LiveSources.make>) =>
  Effect.fnUntraced(function*(text: string) {
    const { tree } = yield* CommandLine
    const { lastStart, words } = split(text)
    const partial = text.slice(lastStart)
    const all = partial === "" ? [...words, ""] : words
    const candidates = yield* complete({ tree: yield* tree, words: all, sources })
    return {
      partial,
      candidates: candidates.map(({ value }) => {
        const word = quote(value)
        return candidates.length > 1 || /[=/]$/.test(value) ? word : `${word} `
      })
    }
  })

/** The words that end the shell. */
const endings: ReadonlySet<string> = new Set(["exit", "quit"])

/** The words of a command. `help` is that of the program, whose name may stand in front, as in the advice that errors give. */
const wordsOf = (command: string): ReadonlyArray<string> => {
  const [first, ...rest] = split(command).words
  const words = first === "mcp-sessions" ? rest : split(command).words
  return words.length === 1 && words[0] === "help" ? ["--help"] : words
}

/** Says which sessions are held, and which servers cannot be reached now. */
const greetingOf = ({ holder: { servers } }: Lent, failed: ReadonlySet<string>): string => {
  const open = servers.filter((server) => !failed.has(server))
  return [
    `holding ${open.length === 0 ? "no session" : open.join(", ")}`,
    ...failed.size === 0 ? [] : [`not connected: ${[...failed].join(", ")}`]
  ].join("; ")
}

const interactive = Effect.fnUntraced(function*(lent: Lent, failed: ReadonlySet<string>) {
  const { note } = yield* Output
  const invocation = yield* Invocation
  const openEditor = yield* OpenEditor
  const commandLine = yield* CommandLine
  const sources = LiveSources.make({ sessions: lent.sessions, servers: lent.holder.servers })
  const history = [...yield* ShellHistory.load]
  const editor = yield* openEditor({
    history,
    complete: (text) => Effect.provideService(completeLine(sources)(text), CommandLine, commandLine)
  })
  yield* note(line`${greetingOf(lent, failed)}; Tab completes, Ctrl+C cancels, Ctrl+D ends`)
  const own = { ...invocation, stdin: { ...invocation.stdin, readLine: editor.readLine } }
  let status = 0
  for (;;) {
    const command = yield* readCommand(editor)
    if (command === undefined || endings.has(command)) break
    if (command === "") continue
    if (!ShellHistory.mayHoldSecret(command)) {
      const joined = command.replaceAll(/\s*\n\s*/g, " ")
      yield* editor.remember(joined)
      history.unshift(joined)
    }
    status = yield* runWith(lent)(wordsOf(command)).pipe(
      Effect.provideService(Invocation, own),
      Effect.raceFirst(Effect.as(editor.interrupted, 130))
    )
  }
  const refusal = yield* ShellHistory.save(history)
  if (refusal !== undefined) yield* note(line`the history was not kept: ${refusal}`)
  return status
})

/** Runs the commands of standard input. The exit status is that of the last one. */
const script = Effect.fnUntraced(function*(lent: Lent) {
  const { stdin } = yield* Invocation
  const text = yield* Effect.mapError(
    stdin.readAll(scriptLimit * 1024 ** 2),
    (refusal) => new UsageError({ problems: [refusal] })
  )
  let status = 0
  let command = ""
  for (const one of text.split("\n")) {
    command = command === "" ? one : `${command}\n${one}`
    if (command.trim() === "" || command.trimStart().startsWith("#")) command = ""
    if (command === "" || !split(command).isComplete) continue
    if (endings.has(command.trim())) return status
    status = yield* runWith(lent)(wordsOf(command))
    command = ""
  }
  if (command !== "") return yield* new UsageError({ problems: ["the last command is not complete"] })
  return status
})

export const shell = Command.make("shell", {
  servers: Argument.String("server").pipe(
    Argument.withDescription("Servers to hold (default: all enabled servers)"),
    Argument.variadic()
  ),
  timeout: holdingFlags.timeout
}, ({ servers: names, timeout }) =>
  Effect.gen(function*() {
    const { stdin, stdout } = yield* Invocation
    const { directory } = yield* Invocation
    const all = yield* loadConfigured
    const servers = yield* selectServers(all, names)
    const held = usableOf(servers).map(({ name }) => name)
    const startedAt = yield* Clock.monotonicTimeNanos
    const status = yield* Effect.scoped(Effect.gen(function*() {
      const { failed, ...opened } = yield* openSessions({ servers, limit: timeout, bestEffort: true })
      const lent: Lent = {
        ...opened,
        configured: withAnswers(all, servers),
        holder: {
          command: "shell",
          project: directory,
          pid: processId,
          servers: held,
          uptime: Effect.map(Clock.monotonicTimeNanos, (now) => Math.round(Number(now - startedAt) / 1e6)),
          connection: yield* watchAges(opened.sessions, held),
          stop: Effect.void
        }
      }
      return yield* stdin.isTerminal && stdout.isTerminal ? interactive(lent, failed) : script(lent)
    }))
    if (status !== 0) return yield* new ProgramExited({ status })
  })).pipe(
    Command.withDescription("Run commands with sessions that stay open, typed or from standard input"),
    Command.withExamples([
      { command: "mcp-sessions shell", description: "Hold the sessions of all servers, and read commands" },
      { command: "mcp-sessions shell db < commands.txt", description: "Run the commands of a file with one session" }
    ])
  )
