/**
 * `with`: runs a command while sessions are open for it.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { CommandLine } from "../CommandLine.ts"
import { usableOf, withAnswers } from "../Configured.ts"
import { ProgramExited, UsageError } from "../Failure.ts"
import { addressVariable } from "../internal/socket/variables.ts"
import { Invocation } from "../Invocation.ts"
import { Output } from "../Output.ts"
import { line } from "../Shown.ts"
import { holdingFlags, openSessions, refuseUnusable, splitNames, toUsageError } from "./holding.ts"
import { loadConfigured, selectServers } from "./selection.ts"

/** Other commands start faster without these. */
const modules = Effect.promise(() =>
  Promise.all([import("../internal/holder/hold.ts"), import("../internal/runChild.ts")])
)

/** Splits the words of the command line into the names of servers and the command after `--`. */
const splitWords = Effect.fnUntraced(function*(options: {
  readonly positional: ReadonlyArray<string>
  readonly isAll: boolean
}) {
  const { isAll, positional } = options
  const { words } = yield* CommandLine
  const separator = words.indexOf("--")
  const count = separator === -1 ? 0 : words.length - separator - 1
  const names = positional.slice(0, positional.length - count)
  const [command, ...args] = positional.slice(positional.length - count)
  const problems = [
    ...command === undefined || count === 0 ? ["missing command after --"] : [],
    ...names.length === 0 && !isAll ? ["missing servers; name them, or hold all with --all"] : [],
    ...names.length > 0 && isAll ? ["--all: expected no names of servers beside it"] : []
  ]
  const [first, ...rest] = problems
  if (first !== undefined || command === undefined) {
    return yield* new UsageError({ problems: [first ?? "", ...rest], hint: "mcp-sessions with --help" })
  }
  return { names, command, args }
})

export const withCommand = Command.make("with", {
  positional: Argument.String("servers -- command").pipe(
    Argument.withDescription("Servers to hold, and after -- the command that uses them"),
    Argument.variadic()
  ),
  isAll: Flag.Boolean("all").pipe(Flag.withDescription("Hold all enabled servers"), Flag.withDefault(false)),
  ...holdingFlags
}, ({ bestEffort, isAll, positional, timeout }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { directory, environment } = yield* Invocation
    const [{ hold }, { runChild }] = yield* modules
    const { args, command, names } = yield* splitWords({ positional, isAll })
    const all = yield* loadConfigured
    const servers = yield* selectServers(all, splitNames(names, all))
    if (!bestEffort) yield* refuseUnusable(servers)
    const held = {
      command: "with",
      project: directory,
      configured: withAnswers(all, servers),
      names: usableOf(servers).map(({ name }) => name),
      // A script uses the sessions that it was started with, wherever it goes.
      isCurrent: Effect.succeed(true),
      hasOwnConfiguration: () => Effect.succeed(false)
    } as const
    const ending = yield* hold(held, ({ lend, socket }) =>
      Effect.gen(function*() {
        yield* lend(yield* openSessions({ servers, limit: timeout, bestEffort }))
        return yield* runChild({
          command,
          args,
          directory,
          environment: { ...environment, [addressVariable]: socket }
        })
      })).pipe(
        Effect.scoped,
        Effect.catchTag("ListenFailed", (failure) => Effect.fail(toUsageError(failure)))
      )
    if (ending._tag === "NotStarted") {
      yield* output.note(line`error[NotStarted]: cannot start ${command} (${ending.code})`)
    }
    return yield* new ProgramExited({ status: ending.status })
  })).pipe(
    Command.withDescription("Run a command with open sessions: its calls need not connect"),
    Command.withExamples([
      {
        command: "mcp-sessions with github,files -- ./triage.sh",
        description: "Open two sessions for a script and close them after it"
      },
      { command: "mcp-sessions with --all -- make check", description: "Open the sessions of all servers" }
    ])
  )
