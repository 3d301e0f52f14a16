/**
 * Failures of the command line, and their exit statuses. `FailureText.ts` shows them.
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
import type { ConfigError } from "@mcp-sessions/core/ConfigError"
import type { SessionError } from "@mcp-sessions/core/SessionError"
import type { OpenFailed } from "@mcp-sessions/core/Sessions"
import type { TokenStoreFailed } from "@mcp-sessions/transports/TokenStore"
import * as Data from "effect/Data"
import * as Schema from "effect/Schema"
import { exitStatuses } from "./internal/exitStatuses.ts"
import { statusOfReason } from "./internal/reasonStatus.ts"

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
      return exitStatuses.unexpected
    case "UsageError":
      return exitStatuses.usage
    case "ToolFailed":
      return exitStatuses.toolFailed
    case "CheckFailed":
      return exitStatuses.checkFailed
    case "ConfigError":
      return failure.problems.every(({ _tag }) => _tag === "UnknownServer" || _tag === "DisabledServer")
        ? exitStatuses.usage
        : exitStatuses.invalidConfiguration
    case "SessionError":
      return statusOfReason(failure.reason)
    case "ServersFailed":
      return exitStatus(failure.errors[0])
    case "OpenFailed":
      return failure.errors[0] === undefined ? exitStatuses.unexpected : exitStatus(failure.errors[0])
    case "ProgramExited":
      return failure.status
    case "TokenStoreFailed":
      return exitStatuses.unauthorized
  }
}
