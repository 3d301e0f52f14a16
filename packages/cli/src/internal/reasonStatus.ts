/**
 * Exit statuses of failed operations on a server.
 */
import type { Delivery, Reason } from "@mcp-sessions/core/SessionError"
import { exitStatuses } from "./exitStatuses.ts"

const { invalidConfiguration, outcomeUnknown, protocol, timeout, unauthorized, unreachable } = exitStatuses

const statusOfDelivery = (delivery: Delivery): number => delivery === "Unknown" ? outcomeUnknown : unreachable

export const statusOfReason = (reason: Reason): number => {
  switch (reason._tag) {
    case "SpawnFailed":
    case "ConnectionRefused":
    case "ProxyFailed":
    case "ConnectTimeout":
    case "HttpFailed":
    case "ServerDown":
    case "ServerEjected":
    case "QueueFull":
    case "RateLimited":
      return unreachable
    case "BlockedAddress":
    case "TlsFailed":
      return invalidConfiguration
    case "ServerExited":
    case "TransportFailed":
    case "TransportClosed":
    case "ResponseLost":
      return statusOfDelivery(reason.delivery)
    case "AuthRequired":
    case "CredentialsFailed":
      return unauthorized
    case "AuthorizationFailed":
      return reason.isRetryable ? unreachable : unauthorized
    case "RequestTimeout":
      return timeout
    case "OutcomeUnknown":
      return outcomeUnknown
    default:
      return protocol
  }
}
