/**
 * Attributes of spans and metrics, by the OpenTelemetry conventions for MCP.
 */
import type { Connection, ConnectionInfo } from "../../Connection.ts"
import type { ServerConfig, ServerDefinition } from "../../ServerConfig.ts"
import type { Reason } from "../../SessionError.ts"
import { attributes as names } from "../../Telemetry.ts"
import type { Attributes } from "./registerMetrics.ts"

/** The longest name of a tool or a prompt, and the longest URI, in an attribute. In characters. */
const maxLength = 256

const bounded = (text: string): string => text.length > maxLength ? text.slice(0, maxLength) : text

/** What a request is about. */
export interface Target {
  readonly method: string
  readonly tool?: string
  readonly prompt?: string
  readonly uri?: string
}

/** The target of a request with these params. */
export const targetOf = (method: string, params: Readonly<Record<string, unknown>> | undefined): Target => {
  switch (method) {
    case "tools/call":
      return typeof params?.name === "string" ? { method, tool: params.name } : { method }
    case "prompts/get":
      return typeof params?.name === "string" ? { method, prompt: params.name } : { method }
    case "resources/read":
      return typeof params?.uri === "string" ? { method, uri: params.uri } : { method }
    default:
      return { method }
  }
}

/** The name of the span of a request. */
export const spanNameOf = ({ method, prompt, tool }: Target): string => {
  const target = tool ?? prompt
  return target === undefined ? method : `${method} ${bounded(target)}`
}

/** The attributes of a request that a metric may have: no URI, of which there may be any number. */
export const targetAttributes = ({ method, prompt, tool }: Target): Attributes => ({
  [names.methodName.name]: method,
  ...(tool === undefined
    ? {}
    : { [names.operationName.name]: "execute_tool", [names.toolName.name]: bounded(tool) }),
  ...(prompt === undefined ? {} : { [names.promptName.name]: bounded(prompt) })
})

/** A URI without what may be secret: its user, its query and its fragment. */
const publicUri = (uri: string): string =>
  bounded(uri.replace(/[?#].*$/s, "").replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, "$1"))

/** The attributes of a request that a span may have. */
export const spanAttributes = (target: Target): Attributes => ({
  ...targetAttributes(target),
  ...(target.uri === undefined ? {} : { [names.resourceUri.name]: publicUri(target.uri) })
})

/** The attributes of a failure. */
export const errorAttributes = (reason: Reason): Attributes =>
  reason._tag === "ProtocolFailed"
    ? { [names.errorType.name]: String(reason.code), [names.statusCode.name]: String(reason.code) }
    : { [names.errorType.name]: reason._tag }

/** The attributes of a connection, as far as the handshake has told them. */
export const connectionAttributes = ({ connection, info }: {
  readonly connection: Pick<Connection, "sessionId">
  readonly info: ConnectionInfo | undefined
}): Attributes => {
  const sessionId = connection.sessionId?.()
  return {
    ...(info === undefined ? {} : { [names.protocolVersion.name]: info.protocolVersion }),
    ...(sessionId === undefined ? {} : { [names.sessionId.name]: bounded(sessionId) })
  }
}

const defaultPorts: Readonly<Record<string, string>> = { http: "80", https: "443", ws: "80", wss: "443" }

const addressOf = (url: string): Attributes => {
  const [, scheme = "", host = "", port] = /^([a-z]+):\/\/(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d+))?/i.exec(url) ??
    []
  return host === ""
    ? {}
    : {
      [names.serverAddress.name]: host.replace(/^\[|\]$/g, ""),
      [names.serverPort.name]: port ?? defaultPorts[scheme.toLowerCase()] ?? ""
    }
}

/** The attributes of the network between this process and a server. */
export const networkAttributes = (config: ServerConfig): Attributes =>
  "url" in config
    ? {
      [names.transport.name]: "tcp",
      [names.protocolName.name]: config.transport === "websocket" ? "websocket" : "http",
      ...addressOf(config.url)
    }
    : { [names.transport.name]: "pipe" }

/** The attributes of all spans that concern a server. The port is a number there. */
export const serverAttributes = ({ config, name }: ServerDefinition): Readonly<Record<string, unknown>> => {
  const network = networkAttributes(config)
  const port = network[names.serverPort.name]
  return {
    [names.server.name]: name,
    [names.kind.name]: config.transport,
    ...network,
    ...(port === undefined ? {} : { [names.serverPort.name]: Number(port) })
  }
}
