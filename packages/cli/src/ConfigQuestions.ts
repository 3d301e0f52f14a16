/**
 * Asks a user at a terminal what configured servers need: trust in a project file, and values of inputs.
 *
 * @since 0.1.0
 */
import type { AskInput, AskTrust, ConfiguredServer } from "@mcp-sessions/core/ConfigFile"
import { Host } from "@mcp-sessions/core/Host"
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { root } from "./commands/root.ts"
import { Invocation } from "./Invocation.ts"
import { Output } from "./Output.ts"
import { line, name } from "./Shown.ts"

/**
 * The functions that ask.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigQuestions {
  readonly input: AskInput
  readonly trust: "all" | AskTrust
}

/** Asks for trust in a file, and records it. */
const askTrust = (options: {
  readonly servers: ReadonlyArray<ConfiguredServer>
  readonly invocation: Invocation["Service"]
  readonly output: Output["Service"]
  readonly host: Host["Service"]
}): AskTrust =>
  Effect.fnUntraced(function*(file) {
    const { host, invocation, output, servers } = options
    yield* output.note(line`${file.source} is a project file that you have not trusted. Its servers:`)
    for (const server of servers.filter((server) => server.file === file.file)) {
      yield* output.note(line`  ${server.writtenName}  ${server.target}`)
    }
    const answer = yield* invocation.stdin.readLine({ prompt: "trust this content of the file? [y/N] " })
    if (!/^y(?:es)?$/i.test(answer?.trim() ?? "")) return false
    yield* Effect.catch(host.trust(file), ({ message }) => output.note(output.styleNote("yellow", message)))
    return true
  })

/** Asks for the value of an input, unless its variable is set. */
const askInput = (options: {
  readonly invocation: Invocation["Service"]
  readonly output: Output["Service"]
}): AskInput =>
  Effect.fnUntraced(function*(request) {
    const { invocation: { environment, stdin }, output } = options
    if (environment[request.variable] !== undefined) return undefined
    yield* output.note(line`${request.source} asks for ${request.description ?? request.id}`)
    if (request.options !== undefined) yield* output.note(line`  one of: ${request.options.join(", ")}`)
    const { text } = name(request.id)
    const hint = request.default === undefined || request.isPassword ? "" : ` [${name(request.default).text}]`
    const answer = yield* stdin.readLine({ prompt: `${text}${hint}: `, isHidden: request.isPassword })
    const value = answer === undefined || answer === "" ? request.default : answer
    return value === undefined ? undefined : Redacted.make(value)
  })

const needsAnswer = ({ definition }: ConfiguredServer): boolean =>
  Result.isFailure(definition) &&
  definition.failure.problems.some(({ _tag }) => _tag === "UntrustedFile" || _tag === "MissingInput")

/**
 * Returns the functions that ask the user. `undefined`: no server needs an answer, or no terminal is there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const questions = Effect.fnUntraced(function*(
  servers: ReadonlyArray<ConfiguredServer>
): Effect.fn.Return<
  ConfigQuestions | undefined,
  never,
  Command.CommandContext<"mcp-sessions"> | Host | Invocation | Output
> {
  const [{ json, trust }, invocation, output, host] = yield* Effect.all([root, Invocation, Output, Host])
  const isTerminal = !json && invocation.stdin.isTerminal && invocation.stderr.isTerminal
  if (!isTerminal || !servers.some(needsAnswer)) return undefined
  return {
    input: askInput({ invocation, output }),
    trust: trust ? "all" : askTrust({ servers, invocation, output, host })
  }
})
