/**
 * Refusals of sessions, in the words of the endpoint.
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import type { ServerResponse } from "node:http"
import { isRequest } from "../gateway/call/dispatcher.ts"
import { refuse } from "../gateway/http/http.ts"
import { sessionUnknown, tooManySessions } from "../gateway/protocol/rpc.ts"

/** Refuses a request for a session that its client has ended, or that would be one too many. */
export const refuseSession = (
  response: ServerResponse,
  why: "ended" | "limited",
  messages: ReadonlyArray<JSONRPCMessage>
): void => {
  const id = messages.find(isRequest)?.id
  if (why === "ended") refuse(response, { status: 404, error: sessionUnknown, id })
  else refuse(response, { status: 429, error: tooManySessions, id })
}
