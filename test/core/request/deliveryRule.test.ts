/**
 * The delivery rule over every reason and kind: the decision table of the product.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { Effect } from "effect"
import {
  deliveryOf,
  endOf,
  isLost,
  isReplaceable,
  type Verdict,
  verdictOf
} from "../../../packages/core/src/internal/request/deliveryRule.ts"
import { type Kind, probe, read } from "../../../packages/core/src/internal/request/operation.ts"

const {
  AuthorizationFailed,
  AuthRequired,
  BlockedAddress,
  Cancelled,
  ConnectTimeout,
  ConnectionRefused,
  CredentialsFailed,
  HandshakeFailed,
  HttpFailed,
  InvalidResult,
  MessageTooLarge,
  OutcomeUnknown,
  PaginationExceeded,
  ToolFailed,
  TaskCancelled,
  ProtocolFailed,
  ProtocolMismatch,
  ProxyFailed,
  QueueFull,
  RateLimited,
  RequestTimeout,
  ResponseLost,
  ServerDown,
  ServerEjected,
  ServerExited,
  SessionClosed,
  SessionExpired,
  SpawnFailed,
  TlsFailed,
  TransportClosed,
  TransportFailed,
  Unsupported
} = SessionError

/** What a reason says of the request, of another attempt, of its connection, and of its server. */
interface Traits {
  readonly delivery: SessionError.Delivery
  readonly isRetryable: boolean
  readonly losesConnection: boolean
  readonly health: SessionError.HealthSign
}

const method = "tools/call"
const exit = { exitCode: 1, signal: null }
const lostWith = (lost: SessionError.LostReason) => new OutcomeUnknown({ method, tool: "charge", sentAt: 0, lost })

const yes = true
const no = false

/** The traits of every reason, once for each way in which its fields decide them. Columns as in {@link Traits}. */
const table: ReadonlyArray<
  readonly [SessionError.Reason, SessionError.Delivery, retryable: boolean, loses: boolean, SessionError.HealthSign]
> = [
  // Reasons of connecting.                                       delivery, retryable, loses connection, health
  [new SpawnFailed({ command: "x", code: "ENOENT" }), "NotSent", no, yes, "failed"],
  [new SpawnFailed({ command: "x", code: "EMFILE" }), "NotSent", yes, yes, "failed"],
  [new ConnectionRefused({ address: "x", code: "ECONNREFUSED" }), "NotSent", yes, no, "failed"],
  [new ProxyFailed({ proxy: "x", code: "ECONNREFUSED", delivery: "NotSent" }), "NotSent", yes, no, "failed"],
  [new ProxyFailed({ proxy: "x", code: "ERR_INVALID_URL", delivery: "NotSent" }), "NotSent", no, no, "untouched"],
  [new ProxyFailed({ proxy: "x", status: 407, delivery: "NotSent" }), "NotSent", no, no, "untouched"],
  [new ProxyFailed({ proxy: "x", status: 407, delivery: "Rejected" }), "Rejected", no, no, "untouched"],
  [new ProxyFailed({ proxy: "x", status: 502, delivery: "NotSent" }), "NotSent", yes, no, "failed"],
  [new TlsFailed({ key: "tls.ca", code: "ENOENT" }), "NotSent", no, no, "untouched"],
  [new BlockedAddress({ host: "x" }), "NotSent", no, no, "untouched"],
  [new ConnectTimeout({ timeout: 1 }), "NotSent", yes, yes, "failed"],
  [new HandshakeFailed({ description: "x" }), "NotSent", no, yes, "failed"],
  [new ProtocolMismatch({ revision: "x", supported: [] }), "NotSent", no, yes, "failed"],
  [new CredentialsFailed({ owner: "x" }), "NotSent", no, no, "untouched"],
  // Reasons of a channel.
  [new ServerExited({ ...exit, delivery: "NotSent" }), "NotSent", no, yes, "failed"],
  [new ServerExited({ ...exit, delivery: "Unknown" }), "Unknown", yes, yes, "failed"],
  [new TransportFailed({ description: "x", delivery: "NotSent" }), "NotSent", yes, no, "failed"],
  [new TransportFailed({ description: "x", delivery: "Unknown" }), "Unknown", yes, no, "failed"],
  [new TransportClosed({ delivery: "NotSent" }), "NotSent", yes, yes, "failed"],
  [new TransportClosed({ delivery: "Unknown" }), "Unknown", yes, yes, "failed"],
  [new MessageTooLarge({ limit: 1, delivery: "NotSent" }), "NotSent", no, yes, "failed"],
  [new MessageTooLarge({ limit: 1, delivery: "Unknown" }), "Unknown", no, yes, "failed"],
  [new SessionExpired({ status: 404, delivery: "Rejected" }), "Rejected", no, yes, "alive"],
  [new SessionExpired({ status: 400, delivery: "Unknown" }), "Unknown", yes, yes, "alive"],
  [new SessionExpired({ status: 503, delivery: "Unknown" }), "Unknown", yes, yes, "failed"],
  // Reasons of a request.
  [new ResponseLost({ method }), "Unknown", yes, no, "failed"],
  [new RequestTimeout({ method, timeout: 1, delivery: "NotSent" }), "NotSent", yes, no, "failed"],
  [new RequestTimeout({ method, timeout: 1, delivery: "Unknown" }), "Unknown", yes, no, "failed"],
  [new HttpFailed({ status: 429, delivery: "Rejected" }), "Rejected", yes, no, "alive"],
  [new HttpFailed({ status: 503, delivery: "Rejected" }), "Rejected", yes, no, "failed"],
  [new HttpFailed({ status: 500, delivery: "Unknown" }), "Unknown", yes, no, "failed"],
  [new HttpFailed({ status: 400, delivery: "Answered" }), "Answered", no, no, "alive"],
  [new AuthRequired({ status: 401 }), "Rejected", no, no, "alive"],
  [
    new AuthorizationFailed({ description: "x", isRetryable: yes, delivery: "Rejected" }),
    "Rejected",
    yes,
    no,
    "untouched"
  ],
  [
    new AuthorizationFailed({ description: "x", isRetryable: no, delivery: "NotSent" }),
    "NotSent",
    no,
    no,
    "untouched"
  ],
  [new ProtocolFailed({ method, code: -32_700, description: "x" }), "Rejected", no, no, "alive"],
  [new ProtocolFailed({ method, code: -32_601, description: "x" }), "Rejected", no, no, "alive"],
  [new ProtocolFailed({ method, code: -32_600, description: "x" }), "Answered", no, no, "alive"],
  [new ProtocolFailed({ method, code: -32_602, description: "x" }), "Answered", no, no, "alive"],
  [new InvalidResult({ method, description: "x" }), "Answered", no, no, "alive"],
  [new PaginationExceeded({ method, limit: "x" }), "Answered", no, no, "alive"],
  [new ToolFailed({ tool: "t", result: { content: [] } }), "Answered", no, no, "alive"],
  [new TaskCancelled({ tool: "t" }), "Answered", no, no, "alive"],
  // A task that has failed was accepted, whatever its error says.
  [new ProtocolFailed({ method, code: -32_601, description: "x", isOutcome: true }), "Answered", no, no, "alive"],
  [
    new ProtocolFailed({ method, code: -32_022, description: "x", data: { supported: ["x"] }, isOutcome: true }),
    "Answered",
    no,
    no,
    "alive"
  ],
  [new Unsupported({ method, description: "x" }), "NotSent", no, no, "untouched"],
  // Reasons of the session itself.
  [new SessionClosed(), "NotSent", no, no, "untouched"],
  [new ServerDown({ retryAt: 1 }), "NotSent", no, no, "untouched"],
  [new ServerEjected(), "NotSent", no, no, "untouched"],
  [new QueueFull({ limit: 1, inFlight: 1 }), "NotSent", no, no, "untouched"],
  [new RateLimited({ retryAt: 1 }), "NotSent", no, no, "untouched"],
  [new Cancelled({ delivery: "NotSent" }), "NotSent", no, no, "untouched"],
  [new Cancelled({ delivery: "Unknown" }), "Unknown", no, no, "untouched"],
  [lostWith(new TransportClosed({ delivery: "Unknown" })), "Unknown", no, yes, "failed"],
  [lostWith(new RequestTimeout({ method, timeout: 1, delivery: "Unknown" })), "Unknown", no, no, "failed"],
  [lostWith(new HttpFailed({ status: 499, delivery: "Unknown" })), "Unknown", no, no, "alive"]
]

const kinds: Record<Kind["_tag"], Kind> = {
  Read: read,
  ToolCall: { _tag: "ToolCall", tool: "charge", isIdempotent: Effect.succeed(false) },
  Probe: probe
}

/** What may happen after a failed attempt, by how far the request got. */
const verdicts: Record<SessionError.Delivery, Record<Kind["_tag"], Verdict>> = {
  NotSent: { Read: "resend", ToolCall: "resend", Probe: "resend" },
  Rejected: { Read: "resend", ToolCall: "resend", Probe: "resend" },
  Unknown: { Read: "resend", ToolCall: "resend-if-idempotent", Probe: "resend" },
  Answered: { Read: "final", ToolCall: "final", Probe: "final" }
}

/** The reasons after which a new connection is worth an attempt at once, with their delivery. */
const replaceable = new Set([
  "SpawnFailed NotSent",
  "ConnectTimeout NotSent",
  "HandshakeFailed NotSent",
  "ProtocolMismatch NotSent",
  "ServerExited NotSent",
  "TransportClosed NotSent",
  "MessageTooLarge NotSent",
  "SessionExpired Rejected"
])

/** The reasons that leave open whether the request ran, and that an `OutcomeUnknown` may carry. */
const lost = new Set([
  "ServerExited Unknown",
  "TransportFailed Unknown",
  "TransportClosed Unknown",
  "MessageTooLarge Unknown",
  "ResponseLost Unknown",
  "RequestTimeout Unknown",
  "HttpFailed Unknown",
  "SessionExpired Unknown"
])

const titleOf = ({ _tag, delivery }: SessionError.Reason) => `${_tag} ${delivery}`

const reasons = table.map(([reason]) => reason)

describe("the decision table of failed requests", () => {
  it("has the traits of every reason", () => {
    const actual = reasons.map((reason): readonly [SessionError.Reason, Traits] => {
      const { delivery, health, isRetryable, losesConnection } = reason
      return [reason, { delivery, isRetryable, losesConnection, health }]
    })
    const expected = table.map((
      [reason, delivery, isRetryable, losesConnection, health]
    ): readonly [SessionError.Reason, Traits] => [
      reason,
      { delivery, isRetryable, losesConnection, health }
    ])
    assert.deepStrictEqual(actual, expected)
  })

  it("has a row for every reason of the public union", () => {
    const tags = SessionError.Reason.members.map(({ identifier }) => identifier.split("/").at(-1))
    assert.deepStrictEqual(new Set(reasons.map(({ _tag }) => _tag as string)), new Set(tags))
  })

  for (const [name, kind] of Object.entries(kinds)) {
    it(`has the verdict of a ${name} for every reason`, () => {
      const actual = reasons.map((reason) => [titleOf(reason), verdictOf(kind, reason)])
      const expected = reasons.map((reason) => [
        titleOf(reason),
        reason._tag === "OutcomeUnknown" || reason._tag === "Cancelled" ? "final" : verdicts[reason.delivery][kind._tag]
      ])
      assert.deepStrictEqual(actual, expected)
    })
  }

  it("replaces the connection at once only after a loss of which the request did not run", () => {
    assert.deepStrictEqual(new Set(reasons.filter(isReplaceable).map(titleOf)), replaceable)
  })

  it("calls a request lost only where nothing says whether it ran", () => {
    assert.deepStrictEqual(new Set(reasons.filter(isLost).map(titleOf)), lost)
  })
})

describe("the end of a request", () => {
  it.prop("is never NotSent after it was written, whatever the reason", [SessionError.Reason], ([reason]) => {
    const end = endOf(reason, true)
    assert.notStrictEqual(end.delivery, "NotSent")
    assert.strictEqual(verdictOf(kinds.ToolCall, end) === "resend", reason.delivery === "Rejected")
    if (reason.delivery !== "NotSent") assert.strictEqual(end, reason)
  }, { arbitrary: { seed: 1, runs: 500 } })

  it.prop("is its reason itself before it was written", [SessionError.Reason], ([reason]) => {
    assert.strictEqual(endOf(reason, false), reason)
  }, { arbitrary: { seed: 1 } })

  it("is Unknown and names its reason where a written request ends with a reason that claims NotSent", () => {
    for (const reason of reasons.filter(({ delivery }) => delivery === "NotSent")) {
      const end = endOf(reason, true)
      assert.deepInclude(end, { _tag: "TransportFailed", delivery: "Unknown", cause: reason })
      assert.strictEqual(end.message, reason.message)
      assert.isTrue(isLost(end))
    }
  })

  it("without a response is Unknown exactly if it was written", () => {
    assert.deepStrictEqual([deliveryOf(true), deliveryOf(false)], ["Unknown", "NotSent"])
  })
})
