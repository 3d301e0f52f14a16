/**
 * Shows failures of the command line as text and as JSON.
 *
 * @since 0.1.0
 */
import type { ConfigProblem } from "@mcp-sessions/core/ConfigError"
import { jsonPath } from "@mcp-sessions/core/ConfigError"
import type { ConfigWarning } from "@mcp-sessions/core/ConfigWarning"
import { AuthRequired, type Reason, SessionError } from "@mcp-sessions/core/SessionError"
import { adviceOf } from "./Advice.ts"
import type { Failure } from "./Failure.ts"
import { commandLine } from "./internal/text.ts"
import { gatherUntrusted, joinFiles } from "./internal/untrusted.ts"
import { content, cut, line, name, type Shown } from "./Shown.ts"

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
  /** A command that works without a configuration file. */
  readonly withoutConfiguration?: string | undefined
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

/** Whether no configuration file was found. A file that cannot be read is named as the source of its problem. */
const isWithoutFile = (problems: ReadonlyArray<ConfigProblem>): boolean =>
  problems.every(({ _tag, source }) => _tag === "MissingDocument" && source === undefined)

const hintOf = (
  ...[failure, { isDescribed, isInShell = false, withoutConfiguration }]: readonly [failure: Failure, origin: Origin]
): string | undefined => {
  switch (failure._tag) {
    case "ConfigError":
      return isWithoutFile(failure.problems) ? withoutConfiguration : ofDisabled(failure.problems, isInShell)
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
