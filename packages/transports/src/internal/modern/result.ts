/**
 * Decodes results of 2026-07-28, which say by `resultType` whether the request is done.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic#results
 */
import { InvalidResult } from "@mcp-sessions/core/SessionError"
import * as Predicate from "effect/Predicate"
import { declaresTasks } from "./requestMeta.ts"

/** A result of 2026-07-28. */
export type ModernResult =
  /** The request is done. `result` is without `resultType`, unless that says that the result is a task. */
  | { readonly _tag: "Complete"; readonly result: Record<string, unknown> }
  /** The server asks for input before it goes on. `result` is verbatim. */
  | { readonly _tag: "InputRequired"; readonly result: Record<string, unknown> }
  | { readonly _tag: "Invalid"; readonly reason: InvalidResult }

const invalid = (method: string, description: string): ModernResult => ({
  _tag: "Invalid",
  reason: new InvalidResult({ method, description: `the result of ${method} ${description}` })
})

/** Decodes the result of a request. */
export const decodeResult = (options: {
  readonly method: string
  readonly params: Record<string, unknown> | undefined
  readonly result: unknown
}): ModernResult => {
  const { method, params, result: raw } = options
  if (!Predicate.isObject(raw)) return invalid(method, "is not an object")
  const { resultType, ...result } = raw as Record<string, unknown>
  switch (resultType) {
    case "complete":
      return { _tag: "Complete", result }
    case "input_required": {
      const { inputRequests, requestState } = result
      const asks = Predicate.isObject(inputRequests) && Object.keys(inputRequests).length > 0
      return asks || typeof requestState === "string"
        ? { _tag: "InputRequired", result: raw as Record<string, unknown> }
        : invalid(method, "asks for input without an input request or a request state")
    }
    case "task":
      if (method === "tools/call" && declaresTasks(params)) {
        return { _tag: "Complete", result: raw as Record<string, unknown> }
      }
      // Examples of the specification have the type of the handle in the status of a task.
      return method === "tasks/get"
        ? { _tag: "Complete", result }
        : invalid(method, "is a task, for which the request did not ask")
    case undefined:
      return invalid(method, "has no resultType, which revision 2026-07-28 requires")
    default:
      return invalid(
        method,
        typeof resultType === "string"
          ? `has the unknown resultType ${JSON.stringify(resultType)}`
          : "has a resultType that is no string"
      )
  }
}
