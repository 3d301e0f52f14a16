/**
 * Maps failures of the command line to exit statuses, text and JSON.
 *
 * | status | meaning |
 * | --- | --- |
 * | 1 | unexpected error |
 * | 2 | usage error: invalid flags, unknown or disabled server, invalid arguments |
 * | 3 | authorization required: sign in, or correct the credentials |
 * | 4 | server or authorization server unreachable |
 * | 5 | the tool failed or does not exist |
 * | 10 | invalid configuration |
 * | 11 | the request timed out, and nothing else is at stake |
 * | 12 | outcome unknown: the tool may have run, and the connection was lost or the time was up |
 * | 13 | `check` found an unhealthy server |
 * | 14 | protocol error |
 * | 129, 130, 143 | ended by SIGHUP, SIGINT, SIGTERM |
 *
 * @since 0.1.0
 */
import type { ConfigError, ConfigProblem } from "@mcp-sessions/core/ConfigError"
import { jsonPath } from "@mcp-sessions/core/ConfigError"
import type { ConfigWarning } from "@mcp-sessions/core/ConfigWarning"
import { AuthRequired, type Reason, SessionError } from "@mcp-sessions/core/SessionError"
import type { OpenFailed } from "@mcp-sessions/core/Sessions"
import type { TokenStoreFailed } from "@mcp-sessions/transports/TokenStore"
import * as Data from "effect/Data"
import * as Schema from "effect/Schema"
import { adviceOf } from "./Advice.ts"
import { statusOfReason } from "./internal/reasonStatus.ts"
import { commandLine } from "./internal/text.ts"
import { gatherUntrusted, joinFiles } from "./internal/untrusted.ts"
import { content, cut, line, name, type Shown } from "./Shown.ts"

/**
 * Failure of a command whose words are invalid.
 *
 * @category errors
 * @since 0.1.0
 */
export class UsageError extends Schema.TaggedError<UsageError>("@mcp-sessions/cli/UsageError")("UsageError", {
  problems: Schema.NonEmptyArray(Schema.String),
  hint: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("\n")
  }
}

/**
 * Failure of a tool call: the tool failed or does not exist.
 *
 * @category errors
 * @since 0.1.0
 */
export class ToolFailed extends Schema.TaggedError<ToolFailed>("@mcp-sessions/cli/ToolFailed")("ToolFailed", {
  server: Schema.String,
  tool: Schema.String,
  kind: Schema.Literals(["ToolError", "ToolNotFound"]),
  description: Schema.String,
  hint: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return this.description
  }
}

/**
 * Failure of a check: at least one server is not healthy.
 *
 * @category errors
 * @since 0.1.0
 */
export class CheckFailed extends Schema.TaggedError<CheckFailed>("@mcp-sessions/cli/CheckFailed")("CheckFailed", {
  servers: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const count = this.servers.length
    return `${count} ${count === 1 ? "server is" : "servers are"} unhealthy: ${this.servers.join(", ")}`
  }
}

/**
 * End of a command that ran another program, and exits as that did. Needs no message.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProgramExited extends Schema.TaggedError<ProgramExited>("@mcp-sessions/cli/ProgramExited")(
  "ProgramExited",
  { status: Schema.Int }
) {}

/**
 * Failure to save a file of a result, after the server was called. `code` is the reason of the file system.
 *
 * @category errors
 * @since 0.1.0
 */
export class SaveFailed extends Schema.TaggedError<SaveFailed>("@mcp-sessions/cli/SaveFailed")("SaveFailed", {
  file: Schema.String,
  code: Schema.String
}) {
  override get message(): string {
    return `cannot save ${this.file} (${this.code})`
  }
}

/**
 * Failure of a command on several servers, in the order of the configuration. The first failure decides the exit status.
 *
 * @category errors
 * @since 0.1.0
 */
export class ServersFailed extends Data.TaggedError("ServersFailed")<{
  readonly errors: readonly [SessionError | ConfigError, ...Array<SessionError | ConfigError>]
}> {
  override get message(): string {
    return this.errors.map(({ message }) => message).join("\n")
  }
}

/**
 * Failure of a command, except a closed output.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure =
  | UsageError
  | SaveFailed
  | ServersFailed
  | ToolFailed
  | CheckFailed
  | ConfigError
  | OpenFailed
  | ProgramExited
  | SessionError
  | TokenStoreFailed

/**
 * Returns the exit status of a failure.
 *
 * @category getters
 * @since 0.1.0
 */
export const exitStatus = (failure: Failure): number => {
  switch (failure._tag) {
    case "SaveFailed":
      return 1
    case "UsageError":
      return 2
    case "ToolFailed":
      return 5
    case "CheckFailed":
      return 13
    case "ConfigError":
      return failure.problems.every(({ _tag }) => _tag === "UnknownServer" || _tag === "DisabledServer") ? 2 : 10
    case "SessionError":
      return statusOfReason(failure.reason)
    case "ServersFailed":
      return exitStatus(failure.errors[0])
    case "OpenFailed":
      return failure.errors[0] === undefined ? 1 : exitStatus(failure.errors[0])
    case "ProgramExited":
      return failure.status
    case "TokenStoreFailed":
      return 3
  }
}

const outcomes = { NotSent: "not_sent", Rejected: "failed", Answered: "failed", Unknown: "unknown" } as const

const tailOf = (reason: Reason): string | undefined => {
  if ("lost" in reason) return tailOf(reason.lost)
  const tail = "stderrTail" in reason ? reason.stderrTail : undefined
  return tail === "" ? undefined : tail
}

/** The page of a sign-in waits for this process, which ends. The command that signs in is shown in its place. */
const withoutPage = (error: SessionError): SessionError => {
  const { reason, server } = error
  if (reason._tag !== "AuthRequired") return error
  const { url: _, ...rest } = reason
  return new SessionError({ server, reason: new AuthRequired(rest) })
}

/** Returns the message of a failure without the end of stderr, which is shown on its own. */
const messageOf = (error: SessionError): string => {
  const { message, reason } = withoutPage(error)
  const tail = tailOf(reason)?.trimEnd()
  return tail !== undefined && message.endsWith(`\n${tail}`) ? message.slice(0, -tail.length - 1) : message
}

/** Returns the command that signs in, if a user who signs in would help: there is a page to visit, and nobody was asked. */
const signInOf = (failure: Failure): string | undefined =>
  failure._tag === "SessionError" && failure.reason._tag === "AuthRequired" && failure.reason.url !== undefined
    ? `sign in: ${commandLine("auth login", failure.server)}`
    : undefined

/** Whether the words of a command describe the server that failed, so that it has no name for other commands. */
interface Origin {
  readonly isDescribed: boolean
  /** Whether the command runs in a shell, which has read the configuration before. */
  readonly isInShell?: boolean | undefined
}

const configured: Origin = { isDescribed: false }

/** Returns what helps if all problems of a configuration are that servers are disabled. */
const ofDisabled = (problems: ReadonlyArray<ConfigProblem>, isInShell: boolean): string | undefined => {
  const sources = new Set(problems.map(({ _tag, source }) => _tag === "DisabledServer" ? source : undefined))
  const names = [...sources].filter((source) => source !== undefined)
  if (names.length === 0 || sources.has(undefined)) return undefined
  return `enable ${problems.length === 1 ? "it" : "them"} in ${names.join(", ")}${
    isInShell ? ", and start the shell again" : ""
  }`
}

const hintOf = (
  ...[failure, { isDescribed, isInShell = false }]: readonly [failure: Failure, origin: Origin]
): string | undefined => {
  switch (failure._tag) {
    case "ConfigError":
      return ofDisabled(failure.problems, isInShell)
    case "UsageError":
    case "ToolFailed":
      return failure.hint
    case "SessionError":
      return isDescribed && failure.reason._tag === "ServerExited" ? undefined : adviceOf(failure)
    default:
      return undefined
  }
}

/**
 * Converts a problem or warning of a configuration to JSON.
 *
 * @category rendering
 * @since 0.1.0
 */
export const problemToJson = (
  { _tag, description, path, position, server, source }: ConfigProblem | ConfigWarning
) => ({
  code: _tag,
  message: description,
  ...(source === undefined ? {} : { source }),
  ...(server === undefined ? {} : { server }),
  path: jsonPath(path),
  ...(position === undefined ? {} : { line: position.line, column: position.column })
})

/**
 * Converts a failure to the `error` member of the JSON that `--json` prints to stderr.
 *
 * @category rendering
 * @since 0.1.0
 */
export const envelope = (
  ...[failure, origin = configured]: readonly [failure: Failure, origin?: Origin]
): Record<string, unknown> => {
  const hint = signInOf(failure) ?? hintOf(failure, origin)
  const common = { message: failure.message, ...(hint === undefined ? {} : { hint }) }
  switch (failure._tag) {
    case "UsageError":
      return { code: "Usage", ...common, retryable: false, outcome: "not_sent" }
    case "SaveFailed":
      return { code: failure._tag, ...common, retryable: false, outcome: "failed" }
    case "ToolFailed": {
      const { kind, server, tool } = failure
      const outcome = kind === "ToolNotFound" ? "not_sent" : "failed"
      return { code: kind, ...common, server, tool, retryable: false, outcome }
    }
    case "CheckFailed":
      return { code: "Unhealthy", ...common, servers: failure.servers, retryable: true, outcome: "failed" }
    case "ConfigError": {
      const problems = failure.problems.map(problemToJson)
      const code = problems.length === 1 ? problems[0]?.code : "ConfigError"
      return { code, ...common, problems, retryable: false, outcome: "not_sent" }
    }
    case "ServersFailed":
      return { ...envelope(failure.errors[0]), errors: failure.errors.map((error) => envelope(error)) }
    case "OpenFailed":
      return {
        code: failure._tag,
        ...common,
        errors: failure.errors.map((error) => envelope(error)),
        retryable: false,
        outcome: "not_sent"
      }
    case "ProgramExited":
      return { code: failure._tag, ...common, status: failure.status, retryable: false, outcome: "failed" }
    case "TokenStoreFailed":
      return {
        code: failure._tag,
        ...common,
        reason: failure.reason,
        retryable: failure.isRetryable,
        outcome: "failed"
      }
    case "SessionError": {
      const { reason, server } = failure
      const stderrTail = tailOf(reason)
      return {
        code: reason._tag,
        ...common,
        message: messageOf(failure),
        server,
        ...(reason._tag === "OutcomeUnknown" ? { tool: reason.tool, cause: reason.lost._tag } : {}),
        retryable: reason.isRetryable,
        outcome: outcomes[reason.delivery],
        ...(stderrTail === undefined ? {} : { stderrTail })
      }
    }
  }
}

/** How much of a message is shown, in characters. A server may send megabytes. */
const messageLimit = 4000

/** Shows a message that may have several lines: those after the first one cannot be taken for lines of this program. */
const messageLines = (...[label, text]: readonly [label: Shown, text: string]): ReadonlyArray<Shown> => {
  const [first = "", ...rest] = cut(content(text), messageLimit).text.split("\n")
  return [line`${label} ${name(first)}`, ...rest.map((text) => line`  | ${content(text)}`)]
}

/** Shows where a problem is: the file, as editors and terminals open it, and the keys that lead there. */
const placeOf = (problem: ConfigProblem): ReadonlyArray<Shown> => {
  const { path, source } = problem
  if (source === undefined) return []
  const { position } = problem
  const at = position === undefined ? "" : `:${position.line}:${position.column}`
  return [line`  from ${source}${at}${path.length === 0 ? "" : ` at ${jsonPath(path)}`}`]
}

/**
 * Formats a failure as lines of text.
 *
 * @category rendering
 * @since 0.1.0
 */
export const lines = (
  ...[failure, origin = configured]: readonly [failure: Failure, origin?: Origin]
): ReadonlyArray<Shown> => {
  const hint = hintOf(failure, origin)
  const signIn = signInOf(failure)
  const tried = signIn !== undefined ? [line`  ${signIn}`] : hint === undefined ? [] : [line`  try: ${hint}`]
  switch (failure._tag) {
    case "UsageError":
      return [...failure.problems.flatMap((problem) => messageLines(line`error[Usage]:`, problem)), ...tried]
    case "ToolFailed": {
      const { description, kind, server, tool } = failure
      return [line`error[${kind}] ${server}/${tool}: ${content(description)}`, ...tried]
    }
    case "CheckFailed":
      // The table ends with it.
      return []
    case "ServersFailed":
      return gatherUntrusted(failure.errors).flatMap((error) => error === undefined ? [] : lines(error))
    case "OpenFailed":
      return failure.errors.flatMap((error) => lines(error))
    case "ProgramExited":
      return []
    case "SaveFailed":
    case "TokenStoreFailed":
      return [line`error[${failure._tag}]: ${failure.message}`]
    case "ConfigError":
      return [
        ...joinFiles(failure.problems).flatMap((printed) => {
          if (printed._tag === "File") return [line`error[UntrustedFile]: ${printed.description}`]
          const { problem } = printed
          const { _tag, description, server } = problem
          return [line`error[${_tag}]${server === undefined ? "" : ` ${server}`}: ${description}`, ...placeOf(problem)]
        }),
        ...tried
      ]
    case "SessionError": {
      const tail = tailOf(failure.reason)?.split("\n") ?? []
      return [
        ...messageLines(line`error[${failure.reason._tag}]`, messageOf(failure)),
        ...tail.map((text) => line`  | ${content(text)}`),
        ...tried
      ]
    }
  }
}
