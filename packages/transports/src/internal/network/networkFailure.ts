/**
 * Classifies failures of the network: whatever undici or the system throw becomes a reason.
 *
 * Errors are told apart by class, code and system call, never by their text.
 */
import {
  AuthorizationFailed,
  AuthRequired,
  BlockedAddress,
  ConnectionRefused,
  MessageTooLarge,
  ProxyFailed,
  TlsFailed,
  TransportFailed
} from "@mcp-sessions/core/SessionError"
import * as Schema from "effect/Schema"

/** Codes of failures that come before a byte of the request has left. */
const unreachable = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_NODATA",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_CHAIN_TOO_LONG",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
])

/** Codes that mean the same only on the system call that connects: an open connection can end with them, too. */
const unreachableOnConnect = new Set([
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "ETIMEDOUT"
])

/** Returns the chain of causes, with the members of aggregates, outermost first. */
export const causesOf = (error: unknown): ReadonlyArray<unknown> => chain(error, 0)

const chain = (error: unknown, depth: number): ReadonlyArray<unknown> => {
  if (!(error instanceof Error) || depth > 8) return [error]
  const members: ReadonlyArray<unknown> = error instanceof AggregateError ? error.errors : []
  return [error, ...[error.cause, ...members].flatMap((inner) => inner === undefined ? [] : chain(inner, depth + 1))]
}

/** The code of a failure of the network. */
export interface NetworkCode {
  readonly code: string | undefined
  /** Whether the failure came before a byte of the request had left. */
  readonly isUnreachable: boolean
}

/** Finds the code of the system or of undici in the chain of causes. `isForeign` excludes errors whose code means something else. */
export const networkCodeOf = (options: {
  readonly error: unknown
  readonly isForeign?: ((error: Error) => boolean) | undefined
}): NetworkCode => {
  const { error, isForeign } = options
  for (const link of causesOf(error)) {
    if (!(link instanceof Error) || !("code" in link) || isForeign?.(link) === true) continue
    const { code } = link
    if (typeof code !== "string") continue
    const isConnect = "syscall" in link && (link.syscall === "connect" || link.syscall === "getaddrinfo")
    return { code, isUnreachable: unreachable.has(code) || (isConnect && unreachableOnConnect.has(code)) }
  }
  return { code: undefined, isUnreachable: false }
}

/** Reasons that pass through undici, a lookup or an exchange as errors. */
const isOwn = Schema.is(
  Schema.Union([
    AuthRequired,
    AuthorizationFailed,
    BlockedAddress,
    ConnectionRefused,
    MessageTooLarge,
    ProxyFailed,
    TlsFailed,
    TransportFailed
  ])
)

/** What a failure of the network is: for a connect as for a request. */
export type NetworkReason = typeof isOwn extends (value: unknown) => value is infer A ? A : never

/** Whether an error says that no byte of its request was sent. */
export const isUnsent = (error: unknown): boolean => isOwn(error) && error.delivery === "NotSent"

/** Says what a failure of the network means for a request, or a connect, that was to go to `address`. */
export const classifyNetwork = (options: {
  readonly error: unknown
  readonly address: string
  /** What the failure means for the request, unless it came before a byte had left. */
  readonly delivery: "NotSent" | "Unknown"
}): NetworkReason => {
  const { address, delivery, error } = options
  const reason = causesOf(error).find(isOwn)
  if (reason !== undefined) return reason
  const { code, isUnreachable } = networkCodeOf({ error })
  return code !== undefined && isUnreachable
    ? new ConnectionRefused({ address, code, cause: error })
    : new TransportFailed({ description: "the connection failed", code, delivery, cause: error })
}
