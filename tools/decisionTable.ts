/**
 * Writes the decision table of `docs/reliability.md`: what follows each failure, as the delivery rule and the default retry policy decide.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import process from "node:process"
import { isReplaceable, verdictOf } from "../packages/core/src/internal/request/deliveryRule.ts"
import { type Kind, read } from "../packages/core/src/internal/request/operation.ts"
import * as SessionError from "../packages/core/src/SessionError.ts"
import { replace, table } from "./markdown.ts"

const method = "tools/call"
const lost = new SessionError.TransportClosed({ delivery: "Unknown" })

/** Every reason, once for each way in which its fields decide what follows. */
export const samples: ReadonlyArray<readonly [reason: SessionError.Reason, when: string]> = [
  [new SessionError.SpawnFailed({ command: "x", code: "ENOENT" }), "the program cannot be started"],
  [new SessionError.SpawnFailed({ command: "x", code: "EMFILE" }), "the machine has no process or descriptor left"],
  [new SessionError.ConnectTimeout({ timeout: 1 }), "no handshake in time"],
  [new SessionError.HandshakeFailed({ description: "x" }), "the handshake was refused or invalid"],
  [new SessionError.ProtocolMismatch({ revision: "x", supported: [] }), "no common revision"],
  [new SessionError.CredentialsFailed({ owner: "x" }), "no credentials for the owner"],
  [new SessionError.ConnectionRefused({ address: "x", code: "ECONNREFUSED" }), "the server cannot be reached"],
  [new SessionError.BlockedAddress({ host: "x" }), "the address is not public"],
  [new SessionError.TlsFailed({ key: "tls.ca", code: "ENOENT" }), "a certificate of the definition cannot be used"],
  [new SessionError.ProxyFailed({ proxy: "x", code: "ECONNREFUSED", delivery: "NotSent" }), "the proxy fails"],
  [new SessionError.ProxyFailed({ proxy: "x", status: 407, delivery: "Rejected" }), "the proxy refuses"],
  [new SessionError.ServerExited({ exitCode: 1, signal: null, delivery: "NotSent" }), "before the request was sent"],
  [new SessionError.ServerExited({ exitCode: 1, signal: null, delivery: "Unknown" }), "during the request"],
  [new SessionError.TransportClosed({ delivery: "NotSent" }), "before the request was sent"],
  [lost, "during the request"],
  [new SessionError.TransportFailed({ description: "x", delivery: "NotSent" }), "before the request was sent"],
  [new SessionError.TransportFailed({ description: "x", delivery: "Unknown" }), "during the request"],
  [new SessionError.ResponseLost({ method }), "the event stream ended without the response"],
  [new SessionError.RequestTimeout({ method, timeout: 1, delivery: "NotSent" }), "the request was still waiting here"],
  [new SessionError.RequestTimeout({ method, timeout: 1, delivery: "Unknown" }), "the server did not respond"],
  [new SessionError.MessageTooLarge({ limit: 1, delivery: "NotSent" }), "before the request was sent"],
  [new SessionError.MessageTooLarge({ limit: 1, delivery: "Unknown" }), "during the request"],
  [new SessionError.SessionExpired({ status: 404, delivery: "Rejected" }), "the server does not know the session"],
  [
    new SessionError.SessionExpired({ status: 503, delivery: "Unknown" }),
    "the session was lost; the request may have run"
  ],
  [new SessionError.HttpFailed({ status: 429, delivery: "Rejected" }), "status 429"],
  [new SessionError.HttpFailed({ status: 503, delivery: "Unknown" }), "status 5xx"],
  [new SessionError.HttpFailed({ status: 400, delivery: "Answered" }), "status 4xx"],
  [new SessionError.AuthRequired({ status: 401 }), "status 401 or 403"],
  [
    new SessionError.AuthorizationFailed({ description: "x", isRetryable: true, delivery: "Rejected" }),
    "the authorization server is down"
  ],
  [
    new SessionError.AuthorizationFailed({ description: "x", isRetryable: false, delivery: "Rejected" }),
    "the authorization server refuses"
  ],
  [new SessionError.ProtocolFailed({ method, code: -32_601, description: "x" }), "codes -32700 and -32601"],
  [new SessionError.ProtocolFailed({ method, code: -32_602, description: "x" }), "any other JSON-RPC error"],
  [
    new SessionError.ProtocolFailed({ method, code: -32_601, description: "x", isOutcome: true }),
    "any JSON-RPC error that a task ended with"
  ],
  [new SessionError.InvalidResult({ method, description: "x" }), "the result breaks the protocol or a schema"],
  [new SessionError.ToolFailed({ tool: "t", result: { content: [] } }), "the tool failed, and a schema was asked for"],
  [new SessionError.TaskCancelled({ tool: "t" }), "the server has cancelled the task of the call"],
  [new SessionError.PaginationExceeded({ method, limit: "x" }), "the list does not end"],
  [new SessionError.Unsupported({ method, description: "x" }), "the server does not offer it"],
  [new SessionError.ServerDown({ retryAt: 1 }), "the circuit is open, or too many starts"],
  [new SessionError.ServerEjected(), "the program has ejected the server"],
  [new SessionError.QueueFull({ limit: 1, inFlight: 1 }), "too many requests wait"],
  [new SessionError.RateLimited({ retryAt: 1 }), "the rate limit admits it too late"],
  [new SessionError.SessionClosed(), "the scope has closed"],
  [new SessionError.Cancelled({ delivery: "NotSent" }), "the signal was aborted before the request was sent"],
  [new SessionError.Cancelled({ delivery: "Unknown" }), "the signal was aborted later"],
  [
    new SessionError.OutcomeUnknown({ method, tool: "t", sentAt: 0, lost }),
    "what a tool call that may have run ends with"
  ]
]

const isOfConnect = Schema.is(SessionError.ConnectReason)
const isOfRequest = Schema.is(SessionError.RequestReason)

/** What follows a failure that may be followed by another attempt. */
const nextAttempt = (reason: SessionError.Reason): string => {
  if (reason._tag === "AuthRequired") return "once, after a sign-in"
  // A connect has its own attempts; only a request that finds its connection gone gets another one at once.
  const isReplaced = isReplaceable(reason) && (isOfRequest(reason) || !isOfConnect(reason))
  const ways = [...(isReplaced ? ["at once, on a new connection"] : []), ...(reason.isRetryable ? ["retried"] : [])]
  return ways.length === 0 ? "no" : ways.join("; then ")
}

const after = (reason: SessionError.Reason, kind: Kind, isIdempotent: boolean): string => {
  switch (verdictOf(kind, reason)) {
    case "final":
      return "**never**"
    case "resend-if-idempotent":
      return isIdempotent ? nextAttempt(reason) : "**never**: `OutcomeUnknown`"
    case "resend":
      return nextAttempt(reason)
  }
}

const tool: Kind = { _tag: "ToolCall", tool: "t", isIdempotent: Effect.succeed(false) }

/** The table. */
export const decisionTable = (): string =>
  table(
    ["failure", "when", "delivery", "a read", "a tool call", "an idempotent tool call"],
    samples.map(([reason, when]) => [
      `[\`${reason._tag}\`](troubleshooting.md#${reason._tag.toLowerCase()})`,
      when,
      `\`${reason.delivery}\``,
      after(reason, read, false),
      after(reason, tool, false),
      after(reason, tool, true)
    ])
  )

if (process.argv[1] === import.meta.filename) replace("docs/reliability.md", "decisions", decisionTable())
