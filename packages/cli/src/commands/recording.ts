/**
 * `record` and `replay`: write down what a command says to its servers, and run a command on that in place of the servers.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { CommandLine } from "../CommandLine.ts"
import { ProgramExited, UsageError } from "../Failure.ts"
import { HeldSessions } from "../HeldSessions.ts"
import { isJsonObject } from "../internal/text.ts"
import { CurrentRecording, fileOf, type Recording } from "../Recording.ts"
import { configFlags, root } from "./root.ts"

const file = Argument.String("file").pipe(Argument.withDescription("File of the recording"))

const words = Argument.String("command").pipe(
  Argument.withDescription("After --: a command of this program, such as call files/read path=a.txt"),
  Argument.variadic()
)

/** Whether a defect says that a command differs from the recording. */
const isMismatch = (defect: unknown): defect is { readonly message: string } =>
  isJsonObject(defect) && defect._tag === "ReplayMismatch" && typeof defect.message === "string"

const run = Effect.fnUntraced(function*(options: {
  readonly mode: Recording["mode"]
  readonly file: string
  readonly words: ReadonlyArray<string>
}) {
  const { mode, words } = options
  // The flags before the name of the command are meant for the inner command, too.
  const flags = configFlags(yield* root)
  if (words.length === 0) {
    return yield* new UsageError({
      problems: ["missing the command after --"],
      hint: `mcp-sessions ${mode} session.jsonl -- call <server>/<tool>`
    })
  }
  const commandLine = yield* CommandLine
  const file = yield* fileOf(options.file)
  const status = yield* commandLine.run([...flags, ...words]).pipe(
    Effect.provideService(CurrentRecording, { mode, file }),
    // Held sessions are neither recorded nor replayed.
    Effect.provideService(HeldSessions, undefined),
    Effect.catchDefect((defect) =>
      isMismatch(defect)
        ? Effect.fail(new UsageError({ problems: [`the command is not the recorded one: ${defect.message}`] }))
        : Effect.die(defect)
    )
  )
  if (status !== 0) return yield* new ProgramExited({ status })
})

export const record = Command.make(
  "record",
  { file, words },
  ({ file, words }) => run({ mode: "record", file, words })
).pipe(
  Command.withDescription(
    "Run a command, and write down what it says to its servers. Secrets of the definitions are left out"
  ),
  Command.withExamples([
    {
      command: "mcp-sessions record echo.jsonl -- call everything/echo message=hi",
      description: "Write a recording of one call"
    }
  ])
)

export const replay = Command.make(
  "replay",
  { file, words },
  ({ file, words }) => run({ mode: "replay", file, words })
).pipe(
  Command.withDescription("Run a command on a recording: no server is started or reached"),
  Command.withExamples([
    {
      command: "mcp-sessions replay echo.jsonl -- call everything/echo message=hi",
      description: "Give the recorded result again"
    }
  ])
)
