/**
 * Advice for failures of sessions that a user can act on.
 *
 * @since 0.1.0
 */
import type { Reason, SessionError } from "@mcp-sessions/core/SessionError"
import { commandLine } from "./internal/text.ts"

const ofSpawn = ({ code, command, cwd }: Extract<Reason, { readonly _tag: "SpawnFailed" }>): string => {
  if (cwd !== undefined) return "correct \"cwd\" in the definition"
  switch (code) {
    case "ENOENT":
      if (/\S\s+\S/.test(command)) return "write the program alone into \"command\", and its arguments into \"args\""
      return `install ${JSON.stringify(command)}, or give its path in "command"`
    case "EACCES":
      return `make ${JSON.stringify(command)} executable, or start it by its interpreter`
    default:
      return "correct \"command\" in the definition"
  }
}

const ofUnreachable = (code: string): string =>
  code === "ENOTFOUND" || code === "EAI_AGAIN"
    ? "correct the host in the URL, or check the name server of this machine"
    : "start the server, or correct the address in the URL"

const ofHttp = (status: number): string | undefined => {
  if (status === 404 || status === 405) {
    return "correct the path in the URL; it often ends in /mcp, or in /sse on older servers"
  }
  if (status === 429) return "call again later; the server limits how often it is called"
  return status >= 500 ? "look into the log of the server" : undefined
}

const ofReason = ({ reason, server }: SessionError): string | undefined => {
  switch (reason._tag) {
    case "SpawnFailed":
      return ofSpawn(reason)
    case "ServerExited":
      return reason.delivery === "NotSent"
        ? `read all that it wrote to stderr: ${commandLine("logs --stderr", server)}`
        : undefined
    case "ConnectionRefused":
      return ofUnreachable(reason.code)
    case "ProxyFailed":
      return "correct \"proxy\" in the definition, or the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
    case "ConnectTimeout":
      return "give a server that is only slow more time, with \"connectTimeout\" in its definition"
    case "HttpFailed":
      return ofHttp(reason.status)
    case "AuthRequired":
      return "give credentials in \"headers\" of the definition, or with --header beside a URL"
    case "HandshakeFailed":
      return "check that the command or the URL is that of an MCP server"
    case "BlockedAddress":
      return "leave \"addresses\" out of the definition if you trust the address"
    case "RequestTimeout":
      return "give the server more time, with --timeout"
    case "MessageTooLarge":
      return "raise \"maxMessageBytes\" in the definition"
    case "OutcomeUnknown":
      return "check on the server whether the tool ran before you call it again"
    default:
      return undefined
  }
}

/**
 * Returns what a user can do about a failure; `undefined` where nothing in particular helps.
 *
 * @category rendering
 * @since 0.1.0
 */
export const adviceOf = (error: SessionError): string | undefined => ofReason(error)
