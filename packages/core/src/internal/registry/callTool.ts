/**
 * The tool calls of `Sessions`: directly where that is possible, and decoded where the caller gives a schema.
 */
import * as Effect from "effect/Effect"
import type { ConfigError } from "../../ConfigError.ts"
import type { CallToolResult } from "../../Mcp.ts"
import type { CallToolOptions, Session } from "../../Session.ts"
import type { SessionError } from "../../SessionError.ts"
import { BadOptions, checkCall, withoutOwner } from "../config/callOptions.ts"
import { ownedCallRules } from "../config/optionRules.ts"
import { typed } from "../session/typedResult.ts"
import { directCall } from "./directCall.ts"
import type { Registry } from "./registry.ts"

type Failure = SessionError | ConfigError

type Call = (
  server: string,
  tool: string,
  args?: Record<string, unknown>,
  options?: CallToolOptions & { readonly owner?: string | undefined }
) => Effect.Effect<CallToolResult, Failure>

/** `use` runs a function on a session of an owner. */
export const toolCalls = ({ registry, use }: {
  readonly registry: Registry
  readonly use: (
    server: string,
    f: (session: Session) => Effect.Effect<CallToolResult, Failure>,
    options: { readonly owner: string }
  ) => Effect.Effect<CallToolResult, Failure>
}): Call => {
  const callTool: Call = (server, tool, args = {}, options) => {
    const checked = checkCall(ownedCallRules, options, server)
    if (checked instanceof BadOptions) return Effect.fail(checked.error)
    const schema = checked?.schema
    if (schema !== undefined) {
      return typed({ called: callTool(server, tool, args, { ...options, schema: undefined }), server, tool, schema })
    }
    return directCall({
      registry,
      server,
      owner: checked?.owner,
      tool,
      args,
      options: checked,
      otherwise: (owner) => use(server, (session) => session.callTool(tool, args, withoutOwner(checked)), { owner })
    })
  }
  return callTool
}
