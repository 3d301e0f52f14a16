/**
 * Calls of offered tools that a model makes: finds the tool by its name, asks for the decisions of the program, and sends the call.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ConfigError } from "../../ConfigError.ts"
import type { CallToolResult } from "../../Mcp.ts"
import { type SessionError, ToolFailed } from "../../SessionError.ts"
import {
  CallDenied,
  CallFailed,
  DefinitionNotAccepted,
  InvalidArguments,
  type Reason,
  ToolError,
  ToolUnknown
} from "../../ToolError.ts"
import { isPlainObject } from "../config/callOptions.ts"
import type { ReadOptions } from "./catalogOptions.ts"
import { intercepted, type ToolCall } from "./interceptors.ts"
import type { Offers } from "./offers.ts"

export type Failure = SessionError | ConfigError

/** Calls a tool of a server. */
export type Send = (call: Pick<ToolCall, "args" | "server" | "tool">) => Effect.Effect<CallToolResult, Failure>

const decide = (decision: boolean | Effect.Effect<boolean>): Effect.Effect<boolean> =>
  Effect.isEffect(decision) ? decision : Effect.succeed(decision)

export class Calls {
  readonly #offers: Offers
  readonly #options: ReadOptions
  readonly #send: Send
  readonly #endedAt: (server: string) => SessionError | undefined

  constructor(parts: {
    readonly offers: Offers
    readonly options: ReadOptions
    readonly send: Send
    /** The failure of calls after the catalog was closed. */
    readonly endedAt: (server: string) => SessionError | undefined
  }) {
    this.#offers = parts.offers
    this.#options = parts.options
    this.#send = parts.send
    this.#endedAt = parts.endedAt
  }

  /** Whether the framework must ask a person before it makes a call. A call that cannot be made needs no approval. */
  needsApproval(name: string, args: unknown, callId: string | undefined): Effect.Effect<boolean> {
    const { needsApproval } = this.#options
    if (needsApproval === undefined) return Effect.succeed(false)
    return Effect.suspend(() => {
      const call = this.#callOf(name, args, callId)
      return Result.isFailure(call) ? Effect.succeed(false) : decide(needsApproval(call.success))
    })
  }

  /** Calls a tool. A tool error is a failure. */
  call(name: string, args: unknown, callId: string | undefined): Effect.Effect<CallToolResult, ToolError> {
    return Effect.suspend(() => {
      const call = this.#callOf(name, args, callId)
      if (Result.isFailure(call)) return Effect.fail(call.failure)
      return Effect.filterOrFail(
        intercepted({
          call: call.success,
          interceptors: this.#options.interceptors ?? [],
          send: (args) => this.#approved({ ...call.success, args })
        }),
        ({ isError }) => isError !== true,
        (result) => new ToolError({ tool: name, reason: new ToolFailed({ tool: call.success.tool, result }) })
      )
    })
  }

  /** The failure of a name that no offered tool has. */
  unknown(name: string): ToolError {
    const validNames = this.#offers.offered.map((tool) => tool.name)
    return new ToolError({ tool: name, reason: new ToolUnknown({ name, validNames }) })
  }

  /** The call as it may be made now. */
  #callOf(name: string, args: unknown, callId: string | undefined): Result.Result<ToolCall, ToolError> {
    const found = this.#offers.find(name)
    if (found === undefined) return Result.fail(this.unknown(name))
    const { accepted, isHeld, tool: { definition, pin, server, tool } } = found
    const fail = (reason: Reason) => Result.fail(new ToolError({ tool: name, reason }))
    const ended = this.#endedAt(server)
    if (ended !== undefined) return fail(new CallFailed({ error: ended }))
    if (isHeld) return fail(new DefinitionNotAccepted({ server, accepted, current: pin }))
    const given = args ?? {}
    return isPlainObject(given)
      ? Result.succeed({ name, server, tool, definition, args: given as Record<string, unknown>, callId })
      : fail(new InvalidArguments())
  }

  #approved(call: ToolCall): Effect.Effect<CallToolResult, ToolError> {
    const { approve } = this.#options
    const approved = approve === undefined ? Effect.succeed(true) : Effect.suspend(() => decide(approve(call)))
    return Effect.flatMap(approved, (isApproved) => {
      // Without types, a decision may be anything, such as the text that a person typed.
      if (isApproved !== true) {
        const reason = new CallDenied({ description: "the call was not approved" })
        return Effect.fail(new ToolError({ tool: call.name, reason }))
      }
      // The definition may have changed while someone was asked.
      const now = this.#callOf(call.name, call.args, call.callId)
      if (Result.isFailure(now)) return Effect.fail(now.failure)
      return Effect.mapError(
        this.#send(call),
        (error) => new ToolError({ tool: call.name, reason: new CallFailed({ error }) })
      )
    })
  }
}
