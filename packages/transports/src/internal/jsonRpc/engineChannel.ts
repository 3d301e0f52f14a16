/**
 * What a transport hands to the SDK bridge: an SDK transport, and what the bridge needs to know that the SDK has no words
 * for.
 */
import type { Reason } from "@mcp-sessions/core/SessionError"
import type { Transport } from "@modelcontextprotocol/client"
import type { ServerStream } from "../http/serverStream.ts"

export interface Channel {
  readonly transport: Transport
  /** Why the channel is gone, once it is and not by our doing. The delivery is that of a request that was under way. */
  readonly gone: (delivery: "NotSent" | "Unknown") => Reason | undefined
  /** The end of what a stdio server wrote to stderr. */
  readonly stderrTail?: (() => string | undefined) | undefined
  /** What is not as it should be, though it can be used: shown to users. */
  readonly warnings?: (() => ReadonlyArray<string>) | undefined
  /** What the server says of its own accord, where that comes by a way of its own. */
  readonly serverStream?: ServerStream | undefined
  /** `Retry-After` of the last HTTP response, verbatim. */
  readonly retryAfter?: (() => string | undefined) | undefined
  /** The process of a stdio server. */
  readonly pid?: number | undefined
}
