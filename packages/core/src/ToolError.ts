/**
 * The error of tool calls that a language model makes: a {@link ToolError} names the tool and carries a `reason` from a closed union.
 *
 * **Details**
 *
 * `delivery` says how far the call got, as it does for a `SessionError`. `forModel` is the text for the model: what happened, whether the
 * tool ran, and whether to call it again. It shows no output of the server's process and no HTTP response.
 *
 * **Example** (Telling a model that a call may have run)
 *
 * ```ts import.meta.vitest
 * import { SessionError, ToolError } from "@mcp-sessions/core"
 *
 * const lost = new SessionError.OutcomeUnknown({
 *   method: "tools/call",
 *   tool: "charge",
 *   sentAt: 0,
 *   lost: new SessionError.TransportClosed({ delivery: "Unknown" })
 * })
 * const error = new ToolError.ToolError({
 *   tool: "shop_charge",
 *   reason: new ToolError.CallFailed({ error: new SessionError.SessionError({ server: "shop", reason: lost }) })
 * })
 * error.delivery // => "Unknown"
 * error.forModel.includes("may have run") // => true
 * ```
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ConfigError } from "./ConfigError.ts"
import { type Delivery, forOthers, type Reason as SessionReason, SessionError, ToolFailed } from "./SessionError.ts"
import { closest } from "./Suggestion.ts"

interface Described {
  /** How far the call got. */
  readonly delivery: Delivery
}

/** What a model must know beside the reason, to decide whether to call again. */
const advice: Readonly<Record<Delivery, string>> = {
  Answered: "",
  NotSent: "The tool did not run.",
  Rejected: "The tool did not run.",
  Unknown:
    "The call was sent and got no response: the tool may have run. Do not call it again before you have checked whether it did."
}

/** The message of a reason without the output of the process and the responses of the server. */
const describe = (reason: SessionReason): string =>
  reason._tag === "OutcomeUnknown"
    ? `${reason.tool ?? reason.method} may or may not have run: ${describe(reason.lost)}`
    : forOthers(reason)?.message ?? "the credentials are not available"

/**
 * The call failed before the server responded with a result. `error` says why.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CallFailed extends Schema.TaggedError<CallFailed>("@mcp-sessions/core/CallFailed")("CallFailed", {
  error: Schema.Union([SessionError, ConfigError])
}) implements Described {
  get delivery(): Delivery {
    return this.error._tag === "SessionError" ? this.error.delivery : "NotSent"
  }
  override get message(): string {
    return this.error.message
  }
  /** The text for the model. */
  get forModel(): string {
    return this.error._tag === "SessionError"
      ? `${this.error.server}: ${describe(this.error.reason)}`
      : "the tool is not configured"
  }
}

/**
 * The server has changed the definition of the tool since it was accepted, or the tool was never accepted. It is not called until the new
 * definition is accepted. `accepted` and `current` are their fingerprints.
 *
 * @category reasons
 * @since 0.1.0
 */
export class DefinitionNotAccepted
  extends Schema.TaggedError<DefinitionNotAccepted>("@mcp-sessions/core/DefinitionNotAccepted")(
    "DefinitionNotAccepted",
    { server: Schema.String, accepted: Schema.optional(Schema.String), current: Schema.String }
  )
  implements Described
{
  readonly delivery = "NotSent"
  override get message(): string {
    return this.accepted === undefined
      ? `the definition that the server ${JSON.stringify(this.server)} gives has not been accepted`
      : `the server ${JSON.stringify(this.server)} has changed the definition since it was accepted`
  }
  /** The text for the model. */
  get forModel(): string {
    return `${this.message}; a person has to accept it first`
  }
}

/**
 * The call was denied: by `approve`, or by an interceptor. `description` is shown to the model.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CallDenied extends Schema.TaggedError<CallDenied>("@mcp-sessions/core/CallDenied")("CallDenied", {
  description: Schema.String
}) implements Described {
  readonly delivery = "NotSent"
  override get message(): string {
    return this.description
  }
  /** The text for the model. */
  get forModel(): string {
    return this.description
  }
}

/**
 * No tool has the name, or its server no longer offers it. `validNames` are the names of all tools.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ToolUnknown extends Schema.TaggedError<ToolUnknown>("@mcp-sessions/core/ToolUnknown")("ToolUnknown", {
  name: Schema.String,
  validNames: Schema.Array(Schema.String)
}) implements Described {
  readonly delivery = "NotSent"
  override get message(): string {
    const suggestion = closest(this.name, this.validNames)
    const advice = suggestion === undefined ? "" : `; did you mean ${JSON.stringify(suggestion)}?`
    return `there is no tool of this name${advice}`
  }
  /** The text for the model. */
  get forModel(): string {
    return this.message
  }
}

/**
 * The arguments are not a JSON object.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InvalidArguments
  extends Schema.TaggedError<InvalidArguments>("@mcp-sessions/core/InvalidArguments")("InvalidArguments", {})
  implements Described
{
  readonly delivery = "NotSent"
  override get message(): string {
    return "the arguments must be a JSON object"
  }
  /** The text for the model. */
  get forModel(): string {
    return this.message
  }
}

/**
 * An interceptor has run its `next` more than once, or after it had ended itself. Only the first call went on: this one was not sent.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NextRepeated
  extends Schema.TaggedError<NextRepeated>("@mcp-sessions/core/NextRepeated")("NextRepeated", {})
  implements Described
{
  readonly delivery = "NotSent"
  override get message(): string {
    return "an interceptor ran its `next` more than once, or after it had ended"
  }
  /** The text for the model. */
  get forModel(): string {
    return "the program could not make the call"
  }
}

const reasons = [
  ToolFailed,
  CallFailed,
  DefinitionNotAccepted,
  CallDenied,
  ToolUnknown,
  InvalidArguments,
  NextRepeated
] as const

/**
 * All reasons for which a tool call of a model fails. `SessionError.ToolFailed`: the tool ran and reports that it failed.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = InstanceType<(typeof reasons)[number]>

/**
 * Schema of {@link Reason}.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Reason = Schema.Union(reasons)

/**
 * Error of a tool call that a language model makes. `tool` is the name that the model knows. `ran` is there if an interceptor has failed after
 * the tool ran (`Answered`) or may have run (`Unknown`), and its reason does not say so.
 *
 * @category errors
 * @since 0.1.0
 */
export class ToolError extends Schema.TaggedError<ToolError>("@mcp-sessions/core/ToolError")("ToolError", {
  tool: Schema.String,
  reason: Reason,
  ran: Schema.optional(Schema.Literals(["Answered", "Unknown"]))
}) {
  /** How far the call got. */
  get delivery(): Delivery {
    return this.ran ?? this.reason.delivery
  }
  override get message(): string {
    return `${this.tool}: ${this.reason.message}`
  }
  /** The text for the model: what happened, whether the tool ran, and whether to call it again. */
  get forModel(): string {
    const { reason } = this
    const what = reason._tag === "ToolFailed" ? reason.message : reason.forModel
    const advised = this.ran === "Answered" ? "The tool ran." : advice[this.delivery]
    if (advised === "") return what
    return `${what}${/[.?!]$/.test(what) ? "" : "."} ${advised}`
  }
}

/**
 * Two tools would have the same name for the model. Both are named; none of their servers is left out silently.
 *
 * @category errors
 * @since 0.1.0
 */
export class ToolNameCollision
  extends Schema.TaggedError<ToolNameCollision>("@mcp-sessions/core/ToolNameCollision")("ToolNameCollision", {
    collisions: Schema.Array(Schema.Struct({
      name: Schema.String,
      first: Schema.Struct({ server: Schema.String, tool: Schema.String }),
      second: Schema.Struct({ server: Schema.String, tool: Schema.String })
    }))
  })
{
  override get message(): string {
    return this.collisions.map(({ first, name, second }) =>
      `the tool ${JSON.stringify(first.tool)} of the server ${JSON.stringify(first.server)} and the tool ` +
      `${JSON.stringify(second.tool)} of the server ${JSON.stringify(second.server)} would both be called ${
        JSON.stringify(name)
      }`
    ).join("\n")
  }
}
