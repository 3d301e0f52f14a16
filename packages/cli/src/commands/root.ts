/**
 * The root command and the flags that several commands share.
 */
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

export const root = Command.make("mcp-sessions").pipe(
  Command.withDescription("List and check MCP servers, call their tools, and sign in to them"),
  Command.withSharedFlags({
    config: Flag.String("config").pipe(
      Flag.withAlias("c"),
      Flag.withMetavar("file"),
      Flag.withDescription("Configuration file; can be repeated (default: the files of the project and of the user)"),
      Flag.atLeast(0)
    ),
    trust: Flag.Boolean("trust").pipe(
      Flag.withDescription("Let project files start programs and use variables, for this command"),
      Flag.withDefault(false)
    ),
    header: Flag.String("header").pipe(
      Flag.withMetavar("name: value"),
      Flag.withDescription(
        "Header for a server that is given by its URL; $NAME in the value is a variable, @file a file; can be repeated"
      ),
      Flag.atLeast(0)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print one JSON document to stdout, and errors as JSON to stderr"),
      Flag.withDefault(false)
    )
  })
)

/** The flags that select the configuration, for a command that runs within another one. */
export const configFlags = ({ config, trust }: {
  readonly config: ReadonlyArray<string>
  readonly trust: boolean
}): ReadonlyArray<string> => [...(trust ? ["--trust"] : []), ...config.flatMap((file) => ["--config", file])]

/** A flag with a number of seconds or a duration with a unit. */
export const durationFlag = (...[name, description]: readonly [name: string, description: string]) =>
  Flag.String(name).pipe(
    Flag.withMetavar("duration"),
    Flag.withDescription(description),
    Flag.mapEffect((text) => {
      const duration = durationOf(text)
      const expected = "a number of seconds, or a duration such as 500ms or 2m"
      return duration === undefined
        ? Effect.fail(new CliError.InvalidValue({ option: name, value: text, expected, kind: "flag" }))
        : Effect.succeed(duration)
    })
  )

/** A flag with a whole number within bounds. */
export const wholeNumberFlag = ({ maximum, minimum, name }: {
  readonly name: string
  readonly minimum: number
  readonly maximum: number
}) =>
  Flag.String(name).pipe(
    Flag.withMetavar("number"),
    Flag.mapEffect((value) => {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN
      const expected = `a whole number from ${minimum} to ${maximum}`
      return number >= minimum && number <= maximum
        ? Effect.succeed(number)
        : Effect.fail(new CliError.InvalidValue({ option: name, value, expected, kind: "flag" }))
    })
  )

/** The flag `--timeout`. */
export const timeout = (description: string) =>
  durationFlag("timeout", `${description}: seconds, or a duration such as 500ms or 2m (default: 60)`).pipe(
    Flag.withDefault(Duration.seconds(60))
  )

/** The flag `--no-input`. */
export const input = Flag.Boolean("input").pipe(
  Flag.withDescription("Answer questions of the server at the terminal (--no-input: decline them)"),
  Flag.withDefault(true)
)

/** The flag `--save`: a directory. */
export const saveTo = (description: string) =>
  Flag.String("save").pipe(Flag.withMetavar("directory"), Flag.withDescription(description), Flag.optional)

const units: Record<string, Duration.Unit> = { ms: "millis", s: "seconds", m: "minutes", h: "hours" }

const durationOf = (text: string): Duration.Duration | undefined => {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.trim()) ?? []
  if (amount === undefined) return undefined
  const name = unit === "" ? "seconds" : units[unit] ?? unit
  const duration = Option.getOrUndefined(Duration.fromInput(`${Number(amount)} ${name as Duration.Unit}`))
  return duration !== undefined && Duration.toMillis(duration) > 0 ? duration : undefined
}
