/**
 * Exit statuses of failed operations on a server.
 */
import type { Delivery, Reason } from "@mcp-sessions/core/SessionError"
import { outcomeUnknown, unreachable } from "./exitStatus.ts"

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
      return 10
    case "ServerExited":
    case "TransportFailed":
    case "TransportClosed":
    case "ResponseLost":
      return statusOfDelivery(reason.delivery)
    case "AuthRequired":
    case "CredentialsFailed":
      return 3
    case "AuthorizationFailed":
      return reason.isRetryable ? unreachable : 3
    case "RequestTimeout":
      return 11
    case "OutcomeUnknown":
      return outcomeUnknown
    default:
      return 14
  }
}
