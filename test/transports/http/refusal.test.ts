/**
 * The decision table of refused requests: status, body and kind of connection, and how a ping on the session ended.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { excerptOf } from "../../../packages/transports/src/internal/http/excerpt.ts"
import {
  conclude,
  judge,
  type Ping,
  type RefusedRequest,
  type SessionKind,
  type Verdict
} from "../../../packages/transports/src/internal/http/refusal.ts"

const id = 1_000_000
const pingId = 900_000

const redact = (text: string) => text.replaceAll("s3cret", "<redacted>")

const errorBody = (id: unknown, code: number, message = "no") => ({ jsonrpc: "2.0", id, error: { code, message } })

const revisionRefusal = (id: unknown) => ({
  jsonrpc: "2.0",
  id,
  error: { code: -32_022, message: "no", data: { supported: ["2026-07-28"] } }
})

/** The bodies of the table, each for the request with this id. */
const bodies = {
  nothing: () => "",
  text: () => "no such session",
  object: () => JSON.stringify({ error: "it failed after charging" }),
  "own error": (id: number) => JSON.stringify(errorBody(id, -32_602)),
  "own error, id as text": (id: number) => JSON.stringify(errorBody(String(id), -32_602)),
  "own error in a batch": (id: number) => JSON.stringify([errorBody(7, -32_000), errorBody(id, -32_602)]),
  "own server error": (id: number) => JSON.stringify(errorBody(id, -32_001)),
  "own invalid request": (id: number) => JSON.stringify(errorBody(id, -32_600)),
  "own refusal of the revision": (id: number) => JSON.stringify(revisionRefusal(id)),
  "refusal of the revision without id": () => JSON.stringify(revisionRefusal(null)),
  "error with id null": () => JSON.stringify(errorBody(null, -32_603)),
  "error without id": () => JSON.stringify({ ...errorBody(null, -32_603), id: undefined }),
  "error with a constant id": () => JSON.stringify(errorBody("server-error", -32_603)),
  "own error without code and message": (id: number) =>
    JSON.stringify({ jsonrpc: "2.0", id, error: { code: { toString: 1 }, message: [["no"]] } }),
  "neither result nor error": (id: number) => JSON.stringify({ jsonrpc: "2.0", id }),
  "error with an object as its id": () => JSON.stringify(errorBody({ toString: 1, valueOf: 1 }, -32_603)),
  "not JSON-RPC": () => JSON.stringify({ error: { code: 400, message: "no" } })
} satisfies Record<string, (id: number) => string>

type Body = keyof typeof bodies

const errors: ReadonlyArray<Body> = ["error with id null", "error without id", "error with a constant id"]
const plain: ReadonlyArray<Body> = [
  "nothing",
  "text",
  "object",
  "neither result nor error",
  "error with an object as its id",
  "not JSON-RPC"
]
const own: ReadonlyArray<Body> = [
  "own error",
  "own error, id as text",
  "own error without code and message",
  "own error in a batch"
]
const doubtful: ReadonlyArray<Body> = ["own server error", "own invalid request"]
const revisions: ReadonlyArray<Body> = ["own refusal of the revision", "refusal of the revision without id"]
const all = Object.keys(bodies) as ReadonlyArray<Body>
const without = (left: ReadonlyArray<Body>) => all.filter((body) => !left.includes(body))

const refused = (
  status: number,
  body: Body,
  session: SessionKind,
  retryAfter: string | undefined = undefined
): RefusedRequest => ({
  id,
  refusal: { status, body: bodies[body](id), retryAfter },
  session,
  redact
})

/** A verdict as text: a reason with its delivery, or the response. */
const named = (verdict: Verdict | "ask"): string => {
  if (verdict === "ask") return verdict
  if (verdict._tag === "Failed") return `${verdict.reason._tag} ${verdict.reason.delivery}`
  assert.deepInclude(verdict.response, { id })
  assert.property(verdict.response, "error")
  return "its error"
}

const kinds: ReadonlyArray<SessionKind> = ["none", "header", "url"]
const sessions: ReadonlyArray<SessionKind> = ["header", "url"]

/** The rows of the first question: what a refusal says at once. */
const first: ReadonlyArray<
  readonly [
    statuses: ReadonlyArray<number>,
    retryAfter: string | undefined,
    bodies: ReadonlyArray<Body>,
    kinds: ReadonlyArray<SessionKind>,
    verdict: string
  ]
> = [
  [[401, 403], undefined, all, kinds, "AuthRequired Rejected"],
  [[429], "1", all, kinds, "HttpFailed Rejected"],
  // A JSON-RPC error for the request is its response, whatever the status.
  [[303, 400, 404, 408, 409, 422, 500, 502, 503], undefined, own, ["none"], "its error"],
  [[303, 400, 408, 409, 422, 500, 502, 503], undefined, own, sessions, "its error"],
  [[503], "1", own, kinds, "its error"],
  [[400, 404, 410, 500, 503], undefined, doubtful, ["none"], "its error"],
  // A refusal of the revision says itself what it means.
  [[303, 400, 404, 408, 500, 502], undefined, revisions, kinds, "its error"],
  // With a session, the same error may mean the session.
  [[404], undefined, own, sessions, "ask"],
  [[400, 404, 410, 500, 503], undefined, doubtful, sessions, "ask"],
  // 404 on a session id means the session.
  [[404], undefined, [...plain, ...errors], ["header"], "SessionExpired Rejected"],
  [[404], undefined, [...plain, ...errors], ["url"], "ask"],
  // An error without the id of a request is the response to the POST, unless a proxy may have written it.
  [[303, 400, 404, 409, 422, 500, 501], undefined, errors, ["none"], "its error"],
  [[408, 502, 503, 504], undefined, errors, ["none"], "HttpFailed Unknown"],
  [[500, 503], "1", errors, kinds, "HttpFailed Unknown"],
  // Without a session, any other 4xx is the response.
  [[400, 404, 405, 409, 410, 413, 418, 422], undefined, plain, ["none"], "HttpFailed Answered"],
  // 4xx, and 5xx without a time to retry, may mean the session.
  [[400, 405, 409, 410, 422, 500, 502, 503, 504], undefined, without([...own, ...revisions]), sessions, "ask"],
  // The rest leaves open whether the request ran.
  [[408], undefined, [...plain, ...errors], sessions, "HttpFailed Unknown"],
  [[408, 500, 502, 503, 504], undefined, plain, ["none"], "HttpFailed Unknown"],
  [[500, 502, 503, 504], "1", plain, kinds, "HttpFailed Unknown"],
  [[301, 302, 303], undefined, plain, kinds, "HttpFailed Unknown"],
  [[307, 308], undefined, plain, kinds, "HttpFailed Rejected"]
]

const answered: Ping = { _tag: "Answered" }
const unanswered: Ping = { _tag: "Unanswered" }
const pingRefused = (status: number, body: Body, text?: string): Ping => ({
  _tag: "Refused",
  id: pingId,
  refusal: { status, body: text ?? bodies[body](pingId) }
})

/** The rows of the second question: what a refusal says once the session was asked. */
const second: ReadonlyArray<readonly [status: number, body: Body, ping: Ping, verdict: string]> = [
  // The session lives: the refusal is the response.
  [400, "text", answered, "HttpFailed Answered"],
  [404, "object", answered, "HttpFailed Answered"],
  [400, "error with id null", answered, "its error"],
  [500, "error without id", answered, "its error"],
  [502, "error without id", answered, "HttpFailed Unknown"],
  [500, "text", answered, "HttpFailed Unknown"],
  [404, "own error", answered, "its error"],
  [400, "own server error", answered, "its error"],
  // A server without pings answers with a JSON-RPC error, with any status.
  [400, "text", pingRefused(400, "own error"), "HttpFailed Answered"],
  [400, "text", pingRefused(404, "text", JSON.stringify(errorBody(pingId, -32_601))), "HttpFailed Answered"],
  // The ping is refused like the request: the session is gone, and the request was refused for that.
  [400, "text", pingRefused(400, "text"), "SessionExpired Rejected"],
  [400, "nothing", pingRefused(400, "nothing"), "SessionExpired Rejected"],
  [410, "object", pingRefused(410, "object"), "SessionExpired Rejected"],
  [404, "error with id null", pingRefused(404, "error with id null"), "SessionExpired Rejected"],
  [400, "own server error", pingRefused(400, "own server error"), "SessionExpired Rejected"],
  [404, "own server error", pingRefused(404, "own server error"), "SessionExpired Rejected"],
  // A server that fails with 5xx may have failed after it had run the tool.
  [500, "text", pingRefused(500, "text"), "SessionExpired Unknown"],
  [503, "nothing", pingRefused(503, "nothing"), "SessionExpired Unknown"],
  // The session is gone, but the request was refused in other words: it may have run before.
  [400, "object", pingRefused(400, "text"), "SessionExpired Unknown"],
  [400, "text", pingRefused(404, "text"), "SessionExpired Unknown"],
  [503, "text", pingRefused(404, "text"), "SessionExpired Unknown"],
  // Nothing is known of the session.
  [400, "text", unanswered, "HttpFailed Unknown"],
  [400, "error with id null", unanswered, "HttpFailed Unknown"],
  [400, "text", pingRefused(401, "text"), "HttpFailed Unknown"],
  [400, "text", pingRefused(429, "text"), "HttpFailed Unknown"],
  [400, "text", pingRefused(502, "text"), "HttpFailed Unknown"],
  [500, "text", pingRefused(400, "text"), "HttpFailed Unknown"],
  // The response to the request itself does not depend on it.
  [404, "own error", unanswered, "its error"],
  [400, "own server error", pingRefused(502, "text"), "its error"]
]

describe("the decision table of refused requests", () => {
  for (const [statuses, retryAfter, allowed, kinds, verdict] of first) {
    const after = retryAfter === undefined ? "" : " with Retry-After"
    it(`says ${verdict} of ${statuses.join(", ")}${after} (session: ${kinds.join(", ")}; body: ${allowed.join(", ")})`, () => {
      for (const status of statuses) {
        for (const body of allowed) {
          for (const session of kinds) {
            const actual = named(judge(refused(status, body, session, retryAfter)))
            assert.strictEqual(actual, verdict, `${status} ${body} ${session}`)
          }
        }
      }
    })
  }

  for (const [status, body, ping, verdict] of second) {
    const how = ping._tag === "Refused" ? `${ping.refusal.status} ${JSON.stringify(ping.refusal.body)}` : ping._tag
    it(`says ${verdict} of ${status} (${body}) after the ping ended with: ${how}`, () => {
      for (const session of sessions) {
        assert.strictEqual(named(conclude(refused(status, body, session), ping)), verdict, session)
      }
    })
  }

  it("compares refusals without what differs each time", () => {
    const text = (time: string, trace: string) => JSON.stringify({ timestamp: time, trace, error: "Bad Request" })
    const request = { ...refused(400, "text", "header"), refusal: { status: 400, retryAfter: undefined, body: "" } }
    const of = (body: string, pingBody: string) =>
      named(conclude({ ...request, refusal: { ...request.refusal, body } }, pingRefused(400, "text", pingBody)))
    const [first, second] = [text("2026-01-02T03:04:05.678Z", "9f86d081"), text("2026-01-02T03:04:06.001Z", "60303ae2")]
    assert.strictEqual(of(first, second), "SessionExpired Rejected")
    assert.strictEqual(of(first, first.replace("Bad Request", "Unknown method")), "SessionExpired Unknown")
  })

  it("takes linear time for long bodies", () => {
    const body = "a-".repeat(500_000)
    const request = { ...refused(400, "text", "header"), refusal: { status: 400, retryAfter: undefined, body } }
    assert.strictEqual(named(conclude(request, pingRefused(400, "text", body))), "SessionExpired Rejected")
  })
})

const anyStatus = Schema.Int.check(Schema.isBetween({ minimum: 300, maximum: 599 }))
const anyBody = Schema.Literals(all as ReadonlyArray<Body>)
const anyPing = Schema.Struct({ status: anyStatus, body: anyBody })

describe("a refused request", () => {
  it.prop(
    "is called rejected only for a status that says so, or where a ping is refused with the same 4xx",
    [anyStatus, anyBody, Schema.Literals(kinds), Schema.NullOr(anyPing)],
    ([status, body, session, ping]) => {
      const request = refused(status, body, session)
      const atOnce = judge(request)
      const verdict = atOnce === "ask"
        ? conclude(request, ping === null ? unanswered : pingRefused(ping.status, ping.body))
        : atOnce
      if (verdict._tag === "Response" || verdict.reason.delivery !== "Rejected") return
      const isSaid = [307, 308, 401, 403, 429].includes(status) || (status === 404 && session === "header")
      assert.isTrue(isSaid || (session !== "none" && ping?.status === status && status >= 400 && status < 500))
    },
    { arbitrary: { seed: 1, runs: 3000 } }
  )

  it.prop(
    "is its response where the session answers, and never loses the session",
    [anyStatus, anyBody, Schema.Literals(sessions)],
    ([status, body, session]) => {
      const verdict = conclude(refused(status, body, session), answered)
      assert.isTrue(verdict._tag === "Response" || verdict.reason._tag !== "SessionExpired")
    },
    { arbitrary: { seed: 1, runs: 1000 } }
  )

  it("carries what the server said, on one line, bounded and without secrets", () => {
    const body = `the mail failed\r\n\u001b[31m after s3cret\u202e ${"x".repeat(1000)}`
    const verdict = judge({ ...refused(400, "text", "none"), refusal: { status: 400, retryAfter: undefined, body } })
    if (verdict === "ask" || verdict._tag === "Response") return assert.fail("it is the response")
    const { message } = verdict.reason
    assert.match(message, /^the server responded with HTTP 400: the mail failed \[31m after <redacted> x+…$/)
    assert.isBelow(message.length, 400)
    assert.isUndefined(excerptOf({ body: " \r\n", redact }))
  })
})
