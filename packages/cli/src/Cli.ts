/**
 * The command line as one effect: words in, exit status out.
 *
 * @since 0.1.0
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { call } from "./commands/call.ts"
import { check } from "./commands/check.ts"
import { root } from "./commands/root.ts"
import { servers } from "./commands/servers.ts"
import { tools } from "./commands/tools.ts"
import { envelope, exitStatus, type Failure, lines, UsageError } from "./Failure.ts"
import { toJson } from "./internal/text.ts"
import { layer as outputLayer, Output } from "./Output.ts"
import { version } from "./Version.ts"

/** Help that was asked for is an answer; help that nobody asked for is none, and must not get into one. */
const presenter = Layer.effect(
  CliOutput.Presenter,
  Effect.map(Output, ({ answer, note }): CliOutput.Presenter => {
    const formatter = CliOutput.defaultFormatter()
    return {
      present: (event) => {
        switch (event._tag) {
          case "Help":
            return event.reason === "Requested"
              ? Effect.ignore(answer(formatter.formatHelpDoc(event.helpDoc)))
              : note(formatter.formatHelpDoc(event.helpDoc))
          case "Version":
            return Effect.ignore(answer(event.version))
          case "InvalidInvocation":
            return Effect.void
        }
      }
    }
  })
)

const usageOf = (error: CliError.CliError): UsageError => {
  if (error._tag !== "ShowHelp") return new UsageError({ problems: [error.message] })
  const [first, ...rest] = error.errors.map(({ message }) => message.split("\n").map((line) => line.trim()).join(" "))
  return new UsageError({
    problems: [first ?? "no command given", ...rest],
    hint: `${error.commandPath.join(" ")} --help`
  })
}

const report = Effect.fnUntraced(function*(failure: Failure, json: boolean) {
  const { note, peer, styleNote } = yield* Output
  if (json) yield* note(toJson({ error: envelope(failure) }))
  else {
    const [first, ...rest] = lines(failure)
    yield* note(styleNote("red", peer(first ?? failure._tag)))
    yield* Effect.forEach(rest, (line) => note(peer(line)), { discard: true })
  }
  return exitStatus(failure)
})

const program = Command.runWith(root.pipe(Command.withSubcommands([servers, check, tools, call])), { version })

/**
 * Runs the command line on the words after the program's name. Reports its own failures and succeeds with the exit status.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (words: ReadonlyArray<string>): Effect.Effect<number> =>
  program(words).pipe(
    Effect.as(0),
    Effect.catch((error) => {
      // Whoever stopped reading knows why.
      if (error._tag === "OutputClosed") return Effect.succeed(0)
      return report(CliError.isCliError(error) ? usageOf(error) : error, words.includes("--json"))
    }),
    Effect.provide(Layer.provideMerge(presenter, Layer.merge(outputLayer, NodeServices.layer)))
  )
