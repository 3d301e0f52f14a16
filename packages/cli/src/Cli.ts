/**
 * The command line as one effect: takes the arguments of the process and succeeds with the exit status.
 *
 * @since 0.1.0
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ServerCommand } from "./AdHoc.ts"
import { CommandLine } from "./CommandLine.ts"
import { commandsOf } from "./commands/commands.ts"
import { root } from "./commands/root.ts"
import { exitStatus, type Failure, UsageError } from "./Failure.ts"
import { envelope, lines } from "./FailureText.ts"
import { HeldSessions } from "./HeldSessions.ts"
import { host } from "./internal/host.ts"
import { splitWords, wantsJson, withoutConfiguration } from "./internal/words.ts"
import { Invocation } from "./Invocation.ts"
import { layer as outputLayer, Output, type OutputClosed } from "./Output.ts"
import { line, trusted } from "./Shown.ts"
import { version } from "./Version.ts"

/** Prints requested help to stdout. Help after an error goes to stderr, so that it does not mix with results. */
const presenter = Layer.effect(
  CliOutput.Presenter,
  Effect.map(Output, ({ note, print }): CliOutput.Presenter => {
    const formatter = CliOutput.defaultFormatter()
    return {
      present: (event) => {
        switch (event._tag) {
          case "Help":
            return event.reason === "Requested"
              ? Effect.ignore(print(trusted(formatter.formatHelpDoc(event.helpDoc))))
              : note(trusted(formatter.formatHelpDoc(event.helpDoc)))
          case "Version":
            return Effect.ignore(print(trusted(event.version)))
          case "InvalidInvocation":
            return Effect.void
        }
      }
    }
  })
)

/** Variables of the invocation, for the parts that read them as configuration. */
const configProvider = Layer.unwrap(Effect.map(Invocation, ({ environment }) => {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) env[name] = value
  return ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
}))

/** The built-in flags that have an effect in this program. */
const builtIns = CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version] })

const didYouMean = ([suggestion]: ReadonlyArray<string>): string =>
  suggestion === undefined ? "" : `; did you mean "${suggestion}"?`

/** Words the errors of the parser like all other errors of this program. */
const problemOf = (error: CliError.CliError): string => {
  switch (error._tag) {
    case "UnknownSubcommand":
      return `unknown command "${error.subcommand}"${didYouMean(error.suggestions)}`
    case "UnrecognizedOption":
      return `unknown flag "${error.option}"${didYouMean(error.suggestions)}`
    case "MissingOption":
      return `missing flag --${error.option}`
    case "MissingArgument":
      return `missing argument <${error.argument}>`
    case "UnexpectedArgument":
      return `unexpected argument ${error.arguments.map((argument) => `"${argument}"`).join(", ")}`
    case "InvalidValue": {
      const name = error.kind === "flag" ? `--${error.option}` : `<${error.option}>`
      return error.value === ""
        ? `${name}: missing value; expected ${error.expected}`
        : `${name}: expected ${error.expected}, not "${error.value}"`
    }
    default:
      return error.message.replaceAll(/\s+/g, " ").trim()
  }
}

const toUsageError = (error: CliError.CliError): UsageError => {
  if (error._tag !== "ShowHelp") return new UsageError({ problems: [problemOf(error)] })
  const [first, ...rest] = error.errors.map(problemOf)
  return new UsageError({
    problems: [first ?? "no command given", ...rest],
    hint: `${error.commandPath.join(" ")} --help`
  })
}

const report = Effect.fnUntraced(function*(failure: Failure, words: ReadonlyArray<string>) {
  const { note, noteJson, styleNote } = yield* Output
  const held = yield* HeldSessions
  const origin = {
    isDescribed: splitWords(words).serverCommand.length > 0,
    isInShell: held?.holder.command === "shell",
    withoutConfiguration: withoutConfiguration(words)
  }
  if (wantsJson(words)) yield* noteJson({ error: envelope(failure, origin) })
  else {
    const [first, ...rest] = lines(failure, origin)
    if (first !== undefined) yield* note(styleNote("red", first))
    yield* Effect.forEach(rest, note, { discard: true })
  }
  return exitStatus(failure)
})

const reportLostOutput = ({ code }: OutputClosed) =>
  Effect.flatMap(
    Output,
    ({ note }) => Effect.as(note(line`error[Unexpected]: cannot write to stdout (${code})`), 1)
  )

const commandOf = (words: ReadonlyArray<string>) =>
  Effect.map(commandsOf(words), (commands) => root.pipe(Command.withSubcommands(commands)))

/**
 * Describes all commands and their flags, for completions.
 *
 * @category getters
 * @since 0.1.0
 */
export const tree: Effect.Effect<Completions.CommandDescriptor> = Effect.map(commandOf([]), Completions.fromCommand)

/** Runs the words of one command. Those after `--` start a server, where the command uses one. */
const runWords = (words: ReadonlyArray<string>) => {
  const { own, serverCommand } = splitWords(words)
  return Effect.flatMap(commandOf(own), (command) => Command.runWith(command, { version })(own)).pipe(
    Effect.provideService(ServerCommand, serverCommand)
  )
}

/**
 * Runs the command line with the words after the program name. Prints its failures and succeeds with the exit status.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (words: ReadonlyArray<string>): Effect.Effect<number, never, Invocation> =>
  runWords(words).pipe(
    Effect.as(0),
    Effect.catch((error) => {
      // A reader that closed the pipe needs no message. A full disk does.
      if (error._tag === "OutputClosed") return error.isQuiet ? Effect.succeed(0) : reportLostOutput(error)
      if (error._tag === "ProgramExited") return Effect.succeed(error.status)
      return Effect.andThen(
        Effect.flatMap(HeldSessions, (held) => held?.refuse ?? Effect.void),
        report(CliError.isCliError(error) ? toUsageError(error) : error, words)
      )
    }),
    Effect.provide(
      Layer.mergeAll(presenter, builtIns).pipe(
        Layer.provideMerge(outputLayer),
        Layer.provideMerge(
          Layer.mergeAll(configProvider, host, NodeServices.layer, Layer.succeed(CommandLine, { words, run, tree }))
        )
      ),
      // A command that runs within another one has streams of its own.
      { local: true }
    )
  )
