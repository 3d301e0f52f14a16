/**
 * A tool call as an operation of a session.
 */
import * as Effect from "effect/Effect"
import type { CallToolResult } from "../../Mcp.ts"
import type { CallToolOptions } from "../../Session.ts"
import type { Checked } from "../config/callOptions.ts"
import type { RequestOperation, ToolCall } from "../request/operation.ts"
import { decodeToolResult } from "./results.ts"
import type { SessionCore } from "./sessionCore.ts"
import { withMeta } from "./withMeta.ts"

const yes = Effect.succeed(true)
const no = Effect.succeed(false)

/** Makes the operation. */
export const toolCall = (
  core: SessionCore,
  tool: string,
  args: Record<string, unknown>,
  options: Checked<CallToolOptions> | undefined,
  onProgress?: RequestOperation<CallToolResult>["onProgress"]
): RequestOperation<CallToolResult> & { readonly kind: ToolCall } => {
  const idempotent = options?.idempotent
  return {
    kind: {
      _tag: "ToolCall",
      tool,
      isIdempotent: idempotent === undefined ? core.isIdempotent(tool) : idempotent ? yes : no
    },
    method: "tools/call",
    params: withMeta({ name: tool, arguments: args }, options?.meta),
    timeout: options?.timeout,
    retry: options?.retry,
    onProgress,
    onSent: options?.onSent,
    decode: decodeToolResult
  }
}
