/**
 * The outcome of a call for a framework of language models. A failed call is a value, which each framework shows in its own way; an aborted
 * call rejects.
 */
import type { CallToolResult } from "@mcp-sessions/core/Mcp"
import { ToolError } from "@mcp-sessions/core/ToolError"
import * as Schema from "effect/Schema"

const isToolError = Schema.is(ToolError)

/** A call that failed. */
export class FailedCall {
  readonly error: ToolError

  constructor(error: ToolError) {
    this.error = error
  }

  /** An error whose message is for the model, with the typed error as its cause. */
  toError(): Error {
    return new Error(this.error.forModel, { cause: this.error })
  }
}

export const outcomeOf = (called: Promise<CallToolResult>): Promise<CallToolResult | FailedCall> =>
  called.catch((error: unknown) => {
    if (isToolError(error)) return new FailedCall(error)
    throw error
  })
