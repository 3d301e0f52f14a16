/**
 * The error in the status of a task that has failed.
 */
import type { Reason } from "@mcp-sessions/core/SessionError"
import * as Predicate from "effect/Predicate"
import { messageOf } from "../jsonRpc/inboundReader.ts"
import { failureOf } from "../jsonRpc/responseFailure.ts"

/**
 * Returns the status of a task with its error as that of a response would be read: in the shape of the specification, and without secrets. A status
 * without one is returned as it is.
 */
export const readTaskError = (
  status: Record<string, unknown>,
  redact: <R extends Reason>(reason: R) => R
): Record<string, unknown> => {
  if (status.status !== "failed" || status.error === undefined) return status
  const response = messageOf({ jsonrpc: "2.0", id: 0, error: status.error })
  if (!Predicate.isObject(response) || !("error" in response)) return { ...status, error: undefined }
  const failure = redact(failureOf(response, "tools/call"))
  if (failure._tag === "InvalidResult") return { ...status, error: undefined }
  const { code, data, description } = failure
  return { ...status, error: { code, message: description, ...(data === undefined ? {} : { data }) } }
}
