/**
 * The error of a listener: an address that the system refuses.
 */
import * as Schema from "effect/Schema"

/** The meaning of each code of the system, as the end of a sentence on an address. */
const listenMeanings: ReadonlyMap<string, string> = new Map([
  ["EACCES", "this user may not use this port"],
  ["EADDRINUSE", "another process uses this port"],
  ["EADDRNOTAVAIL", "this machine does not have this address"],
  ["EAI_AGAIN", "the name of the host cannot be resolved"],
  ["ENOTFOUND", "this host does not exist"]
])

/**
 * The gateway cannot listen on its port. `code` is the error code of the system, such as `EADDRINUSE`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ListenFailed
  extends Schema.TaggedError<ListenFailed>("@mcp-sessions/transports/Gateway/ListenFailed")("ListenFailed", {
    host: Schema.String,
    port: Schema.Finite,
    code: Schema.String
  })
{
  override get message(): string {
    const meaning = listenMeanings.get(this.code)
    return `cannot listen on ${this.host}:${this.port}${meaning === undefined ? " " : `: ${meaning} `}(${this.code})`
  }
}
