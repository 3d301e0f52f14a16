/**
 * The table of what errors of others mean.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import {
  InsufficientScopeError,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import { Schema } from "effect"
import { asConnectReason, asRequestReason } from "../../../packages/transports/src/internal/reasons.ts"
import {
  type Circumstances,
  classifyConnect,
  classifyRequest,
  type RequestCircumstances
} from "../../../packages/transports/src/internal/sdk/sdkError.ts"

const connecting: Omit<Circumstances, "error"> = {
  end: undefined,
  address: "http://127.0.0.1:1",
  refusal: undefined
}

const at: Omit<RequestCircumstances, "error"> = {
  ...connecting,
  method: "tools/call",
  isAttached: true
}

const system = (code: string) => Object.assign(new Error("the text does not matter"), { code })
const fetchFailed = (code: string) => new TypeError("fetch failed", { cause: system(code) })
const http = (status: number) =>
  new SdkHttpError(SdkErrorCode.ClientHttpNotImplemented, "x", { status, statusText: "x" })
const sdk = (code: SdkErrorCode, cause?: unknown) =>
  new SdkError(code, "x", undefined, cause === undefined ? {} : { cause })
const exited: Circumstances["end"] = (delivery) =>
  new SessionError.ServerExited({ exitCode: 1, signal: null, delivery })

const { MethodNotSupportedByProtocolVersion, EraNegotiationFailed, CapabilityNotSupported, ConnectionClosed } =
  SdkErrorCode

describe("the description of an error", () => {
  const issues = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      code: "invalid_type",
      path: ["capabilities", index],
      message: "Invalid input: expected string, received null"
    }))
  const described = (message: string) => {
    const reason = classifyConnect({ ...connecting, error: new SdkError(SdkErrorCode.InvalidResult, message) })
    return reason._tag === "HandshakeFailed" ? reason.description : reason._tag
  }

  it("names the members that are invalid, on one line", () => {
    assert.strictEqual(
      described(`Invalid result for initialize: ${JSON.stringify(issues(2), null, 2)}`),
      "Invalid result for initialize: capabilities.0: Invalid input: expected string, received null; " +
        "capabilities.1: Invalid input: expected string, received null"
    )
    assert.match(described(`Invalid: ${JSON.stringify(issues(7))}`), /capabilities\.4: [^;]*; 2 more issues$/)
  })

  it("keeps any other text, on one line", () => {
    assert.strictEqual(described("no revision [1,\n 2] fits\n"), "no revision [1, 2] fits")
    assert.strictEqual(described("[1, 2]"), "[1, 2]")
  })
})

describe("classifyRequest", () => {
  const table: ReadonlyArray<
    readonly [
      title: string,
      error: unknown,
      tag: SessionError.Reason["_tag"],
      delivery: SessionError.Delivery,
      at?: Partial<RequestCircumstances>
    ]
  > = [
    ["a JSON-RPC error", new ProtocolError(-32050, "x"), "ProtocolFailed", "Answered"],
    ["an unknown method", new ProtocolError(-32601, "x"), "ProtocolFailed", "Rejected"],
    [
      "an invalid request, which servers use for much else",
      new ProtocolError(-32600, "x"),
      "ProtocolFailed",
      "Answered"
    ],
    ["a parse error", new ProtocolError(-32700, "x"), "ProtocolFailed", "Rejected"],
    ["HTTP 401", http(401), "AuthRequired", "Rejected"],
    ["HTTP 403", http(403), "AuthRequired", "Rejected"],
    ["sign-in that failed", new UnauthorizedError(), "AuthRequired", "Rejected"],
    ["insufficient scopes", new InsufficientScopeError({ requiredScope: "all" }), "AuthRequired", "Rejected"],
    ["HTTP 404", http(404), "HttpFailed", "Answered"],
    ["HTTP 400", http(400), "HttpFailed", "Answered"],
    ["HTTP 429", http(429), "HttpFailed", "Rejected"],
    ["HTTP 500", http(500), "HttpFailed", "Unknown"],
    ["HTTP 502", http(502), "HttpFailed", "Unknown"],
    ["HTTP 503", http(503), "HttpFailed", "Unknown"],
    ["HTTP 503 with Retry-After", http(503), "HttpFailed", "Unknown", {
      refusal: { retryAfter: "5", body: undefined }
    }],
    ["HTTP 303", http(303), "HttpFailed", "Unknown"],
    ["HTTP 307", http(307), "HttpFailed", "Rejected"],
    ["HTTP 408", http(408), "HttpFailed", "Unknown"],
    ["HTTP 504", http(504), "HttpFailed", "Unknown"],
    ["a connection that closed", sdk(ConnectionClosed), "TransportClosed", "Unknown"],
    ["a process that exited", sdk(ConnectionClosed), "ServerExited", "Unknown", { end: exited }],
    ["a client without a transport", new Error("Not connected"), "TransportClosed", "NotSent", { isAttached: false }],
    ["the SDK's NotConnected", sdk(SdkErrorCode.NotConnected), "TransportClosed", "NotSent"],
    ["a result of the wrong shape", sdk(SdkErrorCode.InvalidResult), "InvalidResult", "Answered"],
    ["a body of the wrong type", sdk(SdkErrorCode.ClientHttpUnexpectedContent), "InvalidResult", "Answered"],
    ["a body that is not JSON", new SyntaxError("x"), "InvalidResult", "Answered"],
    ["endless pages", sdk(SdkErrorCode.ListPaginationExceeded), "PaginationExceeded", "Answered"],
    ["a method of the other era", sdk(MethodNotSupportedByProtocolVersion), "Unsupported", "NotSent"],
    ["a missing capability", sdk(CapabilityNotSupported), "Unsupported", "NotSent"],
    ["the SDK's timer", sdk(SdkErrorCode.RequestTimeout), "RequestTimeout", "Unknown"],
    ["refused", fetchFailed("ECONNREFUSED"), "ConnectionRefused", "NotSent"],
    ["host not found", fetchFailed("ENOTFOUND"), "ConnectionRefused", "NotSent"],
    [
      "no route when connecting",
      Object.assign(system("EHOSTUNREACH"), { syscall: "connect" }),
      "ConnectionRefused",
      "NotSent"
    ],
    [
      "no route any more on an open connection",
      Object.assign(system("EHOSTUNREACH"), { syscall: "read" }),
      "TransportFailed",
      "Unknown"
    ],
    ["undici's connect timeout", system("UND_ERR_CONNECT_TIMEOUT"), "ConnectionRefused", "NotSent"],
    ["all addresses refused", new AggregateError([system("ECONNREFUSED")]), "ConnectionRefused", "NotSent"],
    ["reset", fetchFailed("ECONNRESET"), "TransportFailed", "Unknown"],
    ["a socket that closed", system("UND_ERR_SOCKET"), "TransportFailed", "Unknown"],
    ["a broken pipe", system("EPIPE"), "TransportFailed", "Unknown"],
    ["anything else", "unexpected", "TransportFailed", "Unknown"],
    [
      "a reason of ours, however wrapped",
      new Error("x", { cause: new SessionError.MessageTooLarge({ limit: 1, delivery: "Unknown" }) }),
      "MessageTooLarge",
      "Unknown"
    ],
    [
      "a reason of ours in a response",
      new ProtocolError(-32000, "x", new SessionError.ResponseLost({ method: "tools/call" })),
      "ResponseLost",
      "Unknown"
    ],
    [
      "a look-alike of a reason in a response",
      new ProtocolError(-32000, "x", { _tag: "SessionExpired", status: 404 }),
      "ProtocolFailed",
      "Answered"
    ],
    [
      "a failed handshake within a request, which has been sent",
      new SessionError.HandshakeFailed({ description: "x" }),
      "InvalidResult",
      "Answered"
    ]
  ]
  for (const [title, error, tag, delivery, circumstances] of table) {
    it(`classifies ${title} as ${tag} with delivery ${delivery}`, () => {
      const reason = classifyRequest({ ...at, ...circumstances, error })
      assert.strictEqual(reason._tag, tag)
      assert.strictEqual(reason.delivery, delivery)
    })
  }
})

describe("classifyConnect", () => {
  const table: ReadonlyArray<readonly [title: string, error: unknown, tag: string, at?: Partial<Circumstances>]> = [
    ["refused behind the era probe", sdk(EraNegotiationFailed, fetchFailed("ECONNREFUSED")), "ConnectionRefused"],
    ["reset behind the era probe", sdk(EraNegotiationFailed, fetchFailed("ECONNRESET")), "TransportFailed"],
    ["no common revision", sdk(EraNegotiationFailed), "HandshakeFailed"],
    ["a JSON-RPC error", new ProtocolError(-32603, "x"), "HandshakeFailed"],
    ["a malformed response", new Error("x"), "HandshakeFailed"],
    ["a response that the SDK rejects", sdk(SdkErrorCode.InvalidResult), "HandshakeFailed"],
    ["anything else", "unexpected", "TransportFailed"],
    ["HTTP 401", http(401), "AuthRequired"],
    [
      "insufficient scopes behind the era probe",
      sdk(EraNegotiationFailed, new InsufficientScopeError({ requiredScope: "all" })),
      "AuthRequired"
    ],
    ["silence on the era probe", sdk(SdkErrorCode.RequestTimeout), "ConnectTimeout"],
    ["a connection that closed", sdk(ConnectionClosed), "TransportClosed"],
    ["HTTP 404", http(404), "HttpFailed"],
    ["a process that exited, whatever the SDK makes of it", sdk(EraNegotiationFailed), "ServerExited", { end: exited }],
    [
      "a reason of ours, however wrapped",
      new Error("x", { cause: new SessionError.MessageTooLarge({ limit: 1, delivery: "Unknown" }) }),
      "MessageTooLarge"
    ]
  ]
  for (const [title, error, tag, circumstances] of table) {
    it(`classifies ${title} as ${tag}, never as sent`, () => {
      const reason = classifyConnect({ ...connecting, ...circumstances, error })
      assert.strictEqual(reason._tag, tag)
      if (tag !== "AuthRequired") assert.strictEqual(reason.delivery, "NotSent")
    })
  }
})

describe("narrowing a reason", () => {
  const isConnectReason = Schema.is(SessionError.ConnectReason)
  const isRequestReason = Schema.is(SessionError.RequestReason)
  const delivery = "Unknown"
  const method = "tools/call"
  const description = "x"
  const exit = { exitCode: 1, signal: null, delivery } as const
  const closed = new SessionError.TransportClosed({ delivery })
  const all: ReadonlyArray<
    readonly [reason: SessionError.Reason, connect: string, request: string, delivery: SessionError.Delivery]
  > = [
    [new SessionError.SpawnFailed({ command: "x", code: "ENOENT" }), "SpawnFailed", "TransportFailed", "Unknown"],
    [new SessionError.ServerExited(exit), "ServerExited", "ServerExited", "Unknown"],
    [
      new SessionError.ConnectionRefused({ address: "x", code: "ECONNREFUSED" }),
      "ConnectionRefused",
      "ConnectionRefused",
      "NotSent"
    ],
    [new SessionError.BlockedAddress({ host: "x" }), "BlockedAddress", "BlockedAddress", "NotSent"],
    [
      new SessionError.ProxyFailed({ proxy: "x", status: 407, delivery: "Rejected" }),
      "ProxyFailed",
      "ProxyFailed",
      "Rejected"
    ],
    [new SessionError.TlsFailed({ key: "tls.ca", code: "ENOENT" }), "TlsFailed", "TlsFailed", "NotSent"],
    [new SessionError.ConnectTimeout({ timeout: 1 }), "ConnectTimeout", "RequestTimeout", "Unknown"],
    [new SessionError.TransportFailed({ description, delivery }), "TransportFailed", "TransportFailed", "Unknown"],
    [closed, "TransportClosed", "TransportClosed", "Unknown"],
    [new SessionError.ResponseLost({ method }), "TransportFailed", "ResponseLost", "Unknown"],
    [new SessionError.HttpFailed({ status: 500, delivery }), "HttpFailed", "HttpFailed", "Unknown"],
    [
      new SessionError.SessionExpired({ status: 404, delivery: "Rejected" }),
      "HttpFailed",
      "SessionExpired",
      "Rejected"
    ],
    [new SessionError.AuthRequired({ status: 401 }), "AuthRequired", "AuthRequired", "Rejected"],
    [
      new SessionError.AuthorizationFailed({ description: "x", isRetryable: true, delivery: "Rejected" }),
      "AuthorizationFailed",
      "AuthorizationFailed",
      "Rejected"
    ],
    [new SessionError.HandshakeFailed({ description }), "HandshakeFailed", "InvalidResult", "Answered"],
    [
      new SessionError.ProtocolMismatch({ revision: "x", supported: [] }),
      "ProtocolMismatch",
      "InvalidResult",
      "Answered"
    ],
    [new SessionError.RequestTimeout({ method, timeout: 1, delivery }), "ConnectTimeout", "RequestTimeout", "Unknown"],
    [
      new SessionError.ProtocolFailed({ method, code: -1, description }),
      "HandshakeFailed",
      "ProtocolFailed",
      "Answered"
    ],
    [new SessionError.InvalidResult({ method, description }), "HandshakeFailed", "InvalidResult", "Answered"],
    [new SessionError.MessageTooLarge({ limit: 1, delivery }), "MessageTooLarge", "MessageTooLarge", "Unknown"],
    [
      new SessionError.PaginationExceeded({ method, limit: "x" }),
      "HandshakeFailed",
      "PaginationExceeded",
      "Answered"
    ],
    [new SessionError.TaskCancelled({ tool: "t" }), "HandshakeFailed", "TransportFailed", "Unknown"],
    [
      new SessionError.ToolFailed({ tool: "t", result: { content: [] } }),
      "HandshakeFailed",
      "TransportFailed",
      "Unknown"
    ],
    [new SessionError.Unsupported({ method, description }), "HandshakeFailed", "Unsupported", "NotSent"],
    [new SessionError.SessionClosed(), "HandshakeFailed", "TransportFailed", "Unknown"],
    [new SessionError.ServerDown({ retryAt: 0 }), "HandshakeFailed", "TransportFailed", "Unknown"],
    [new SessionError.ServerEjected(), "HandshakeFailed", "TransportFailed", "Unknown"],
    [new SessionError.QueueFull({ limit: 1, inFlight: 1 }), "HandshakeFailed", "TransportFailed", "Unknown"],
    [new SessionError.RateLimited({ retryAt: 0 }), "HandshakeFailed", "TransportFailed", "Unknown"],
    [new SessionError.CredentialsFailed({ owner: "x" }), "CredentialsFailed", "TransportFailed", "Unknown"],
    [new SessionError.Cancelled({ delivery }), "HandshakeFailed", "TransportFailed", "Unknown"],
    [
      new SessionError.OutcomeUnknown({ method, sentAt: 0, lost: closed }),
      "HandshakeFailed",
      "TransportFailed",
      "Unknown"
    ]
  ]

  for (const [reason, connect, request, delivery] of all) {
    it(`maps ${reason._tag} to ${connect} for a connect and to ${request} for a request`, () => {
      const asConnect = asConnectReason(reason)
      assert.strictEqual(asConnect._tag, connect)
      assert.isTrue(isConnectReason(asConnect))
      if (asConnect._tag !== "AuthRequired") assert.strictEqual(asConnect.delivery, "NotSent")
      const asRequest = asRequestReason({ reason, method })
      assert.strictEqual(asRequest._tag, request)
      assert.isTrue(isRequestReason(asRequest))
      assert.strictEqual(asRequest.delivery, delivery)
    })
  }

  it("maps every reason of a SessionError", () => {
    const covered = new Set(all.map(([{ _tag }]) => _tag))
    const tags = SessionError.Reason.members.map((member) => member.identifier.replace("@mcp-sessions/core/", ""))
    assert.deepStrictEqual(tags.filter((tag) => !covered.has(tag as SessionError.Reason["_tag"])), [])
  })
})
