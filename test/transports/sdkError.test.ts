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
import { type Circumstances, classify } from "../../packages/transports/src/internal/sdk/sdkError.ts"

const at: Omit<Circumstances, "error"> = {
  method: "tools/call",
  isConnecting: false,
  hasSession: true,
  isAttached: true,
  gone: () => undefined,
  address: "http://127.0.0.1:1",
  retryAfter: undefined
}

const system = (code: string) => Object.assign(new Error("the text does not matter"), { code })
const fetchFailed = (code: string) => new TypeError("fetch failed", { cause: system(code) })
const http = (status: number) =>
  new SdkHttpError(SdkErrorCode.ClientHttpNotImplemented, "x", { status, statusText: "x" })
const sdk = (code: SdkErrorCode, cause?: unknown) =>
  new SdkError(code, "x", undefined, cause === undefined ? {} : { cause })

const { MethodNotSupportedByProtocolVersion, EraNegotiationFailed, CapabilityNotSupported, ConnectionClosed } =
  SdkErrorCode

describe("during a request", () => {
  const table: ReadonlyArray<
    readonly [
      title: string,
      error: unknown,
      tag: SessionError.Reason["_tag"],
      delivery: SessionError.Delivery,
      at?: Partial<Circumstances>
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
    ["scopes that do not do", new InsufficientScopeError({ requiredScope: "all" }), "AuthRequired", "Rejected"],
    ["HTTP 404 with a session", http(404), "SessionExpired", "Rejected"],
    ["HTTP 404 without one", http(404), "HttpFailed", "Rejected", { hasSession: false }],
    ["HTTP 400", http(400), "HttpFailed", "Rejected"],
    ["HTTP 429", http(429), "HttpFailed", "Rejected"],
    ["HTTP 500", http(500), "HttpFailed", "Unknown"],
    ["HTTP 502", http(502), "HttpFailed", "Unknown"],
    ["HTTP 503", http(503), "HttpFailed", "Unknown"],
    ["HTTP 503 with a time to come again", http(503), "HttpFailed", "Rejected", { retryAfter: "5" }],
    ["HTTP 303", http(303), "HttpFailed", "Unknown"],
    ["HTTP 307", http(307), "HttpFailed", "Rejected"],
    ["HTTP 408", http(408), "HttpFailed", "Unknown"],
    ["HTTP 504", http(504), "HttpFailed", "Unknown"],
    ["a connection that closed", sdk(ConnectionClosed), "TransportClosed", "Unknown"],
    [
      "a process that exited",
      sdk(ConnectionClosed),
      "ServerExited",
      "Unknown",
      { gone: (delivery) => new SessionError.ServerExited({ exitCode: 1, signal: null, delivery }) }
    ],
    ["a client without a transport", new Error("Not connected"), "TransportClosed", "NotSent", { isAttached: false }],
    ["the SDK's word for that", sdk(SdkErrorCode.NotConnected), "TransportClosed", "NotSent"],
    ["a result of the wrong shape", sdk(SdkErrorCode.InvalidResult), "InvalidResult", "Answered"],
    ["a body of the wrong type", sdk(SdkErrorCode.ClientHttpUnexpectedContent), "InvalidResult", "Answered"],
    ["a body that is no JSON", new SyntaxError("x"), "InvalidResult", "Answered"],
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
    ["anything else", "what?", "TransportFailed", "Unknown"],
    [
      "a reason of ours, however wrapped",
      new Error("x", { cause: new SessionError.MessageTooLarge({ limit: 1, delivery: "Unknown" }) }),
      "MessageTooLarge",
      "Unknown"
    ],
    [
      "a reason of ours in an answer",
      new ProtocolError(-32000, "x", new SessionError.ResponseLost({ method: "tools/call" })),
      "ResponseLost",
      "Unknown"
    ],
    [
      "the looks of a reason in an answer",
      new ProtocolError(-32000, "x", { _tag: "SessionExpired", status: 404 }),
      "ProtocolFailed",
      "Answered"
    ]
  ]
  for (const [title, error, tag, delivery, circumstances] of table) {
    it(`takes ${title} for ${tag}, ${delivery}`, () => {
      const reason = classify({ ...at, ...circumstances, error })
      assert.strictEqual(reason._tag, tag)
      assert.strictEqual(reason.delivery, delivery)
    })
  }
})

describe("during the handshake", () => {
  const table: ReadonlyArray<readonly [title: string, error: unknown, tag: string, at?: Partial<Circumstances>]> = [
    ["refused behind the era probe", sdk(EraNegotiationFailed, fetchFailed("ECONNREFUSED")), "ConnectionRefused"],
    ["reset behind the era probe", sdk(EraNegotiationFailed, fetchFailed("ECONNRESET")), "TransportFailed"],
    ["no common revision", sdk(EraNegotiationFailed), "HandshakeFailed"],
    ["a JSON-RPC error", new ProtocolError(-32603, "x"), "HandshakeFailed"],
    ["an answer that makes no sense", new Error("x"), "HandshakeFailed"],
    ["HTTP 401", http(401), "AuthRequired"],
    [
      "scopes that do not do, behind the era probe",
      sdk(EraNegotiationFailed, new InsufficientScopeError({ requiredScope: "all" })),
      "AuthRequired"
    ],
    ["silence upon the era probe", sdk(SdkErrorCode.RequestTimeout), "ConnectTimeout"],
    ["HTTP 404", http(404), "HttpFailed"],
    [
      "a process that exited, whatever the SDK calls it",
      sdk(EraNegotiationFailed),
      "ServerExited",
      { gone: (delivery) => new SessionError.ServerExited({ exitCode: 1, signal: null, delivery }) }
    ]
  ]
  for (const [title, error, tag, circumstances] of table) {
    it(`takes ${title} for ${tag}, and nothing for sent`, () => {
      const reason = classify({ ...at, isConnecting: true, hasSession: false, ...circumstances, error })
      assert.strictEqual(reason._tag, tag)
      if (tag !== "AuthRequired" && tag !== "HttpFailed") assert.strictEqual(reason.delivery, "NotSent")
    })
  }
})
