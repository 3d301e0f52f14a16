/**
 * What the engine and a channel are to each other: the channel sends the requests of the engine, and the engine receives what arrives.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import type { CloseReason, RequestReason } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, JSONRPCRequest } from "@modelcontextprotocol/client"

/**
 * States why a channel ended, for a request that was written (`Unknown`) or was not (`NotSent`). It is the only form in which a channel
 * states its end: the reason gets its delivery from the request that it ends, never from the channel.
 */
export type EndReason = (delivery: "NotSent" | "Unknown") => CloseReason

/** Receives what arrives on a channel once the handshake is over: the engine. */
export interface Receiver {
  /** Takes a message, and the request on whose response stream it arrived, if known. `false`: the message is for the SDK's client. */
  readonly take: (message: JSONRPCMessage, call?: OutgoingRequest) => boolean
  /** Ends one request with the reason of its own, such as an HTTP status. Does nothing if the request is not in flight. */
  readonly fail: (request: OutgoingRequest, reason: RequestReason) => void
}

/** Sends the requests of the engine. */
export interface RequestSink {
  /** Receives what arrives. Set once, by the engine, when the handshake is over. */
  receiver: Receiver | undefined
  /**
   * Sends a request. `text` is the JSON of `message`; `request.id` is set. Sets `request.isWritten` exactly when the first byte goes to
   * the operating system. Calls `receiver.fail` where the request alone fails. Calls nothing when the whole channel ends: that ends
   * all requests in flight. Never throws.
   */
  readonly sendRequest: (request: OutgoingRequest, text: string, message: JSONRPCRequest) => void
  /**
   * Gives up a request that is no longer in flight. `true`: the server learns of it this way, or will never see the request, so no
   * cancellation notice is to be sent. Before it returns `false`, it writes what is buffered of the request, so that `isWritten` holds
   * from then on. Without this method every cancelled request is announced.
   */
  readonly cancelRequest?: ((request: OutgoingRequest) => boolean) | undefined
  /** How many replies to requests of the server wait to be taken by it. Without this property none wait. */
  readonly pendingReplies?: number
}
