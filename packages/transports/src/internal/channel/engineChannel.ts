/**
 * What a kind of transport opens: a channel. The handshake goes through `transport` as the SDK knows it. Requests on the initialized
 * connection go through its `sendRequest`, past the SDK.
 */
import type { Transport } from "@modelcontextprotocol/client"
import type { EndReason, RequestSink } from "../jsonRpc/requestSink.ts"
import type { ToolHeaders } from "../modern/toolHeaders.ts"

/** A stream of the messages that a server sends on its own. A gap is a time in which messages may have been missed. */
interface MessageStream {
  /** The number of gaps up to now. */
  readonly gaps: number
  /** Calls back with the number of gaps once the stream is open, or the server has none. Returns the cancellation. */
  readonly whenOpen: (then: (gaps: number) => void) => () => void
  /** Calls back once there have been more gaps than `gaps`. Returns the cancellation. */
  readonly whenMissed: (gaps: number, then: () => void) => () => void
}

export interface EngineChannel {
  readonly transport: Transport & RequestSink
  /** Returns why the channel ended, once it has ended and was not closed by us. */
  readonly ended: () => EndReason | undefined
  /** How far the server came in a connect that is not over, as a clause. */
  readonly pending?: (() => string | undefined) | undefined
  /** The end of what a stdio server wrote to stderr. */
  readonly stderrTail?: (() => string | undefined) | undefined
  /** Problems that do not keep the server from being used, shown to users. */
  readonly warnings?: (() => ReadonlyArray<string>) | undefined
  /** The stream of the server's own messages, where these arrive on a stream of their own. */
  readonly serverStream?: MessageStream | undefined
  /** The arguments that are mirrored in headers, where the transport has headers for each request. */
  readonly toolHeaders?: ToolHeaders | undefined
  /** The last refusal of an HTTP request of the handshake: `Retry-After`, verbatim, and the beginning of the body, secrets removed. */
  readonly refusal?:
    | (() => { readonly retryAfter: string | undefined; readonly body: string | undefined } | undefined)
    | undefined
  /** The process of a stdio server. */
  readonly pid?: number | undefined
}
