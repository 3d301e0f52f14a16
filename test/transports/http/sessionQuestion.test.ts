/**
 * The question whether a session still lives: one ping for all that wait.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Ping, Verdict } from "../../../packages/transports/src/internal/http/refusal.ts"
import { SessionQuestion } from "../../../packages/transports/src/internal/http/sessionQuestion.ts"
import { until } from "../../fixtures/peer.ts"

const setting = (pingTimeout?: number) => {
  const pings: Array<{ readonly id: string | number; readonly end: (ping: Ping) => void }> = []
  const stopped: Array<string | number> = []
  const question = new SessionQuestion({
    transport: { sessionKind: "header" },
    redact: (text) => text,
    pingTimeout,
    ping: ({ id, method }, end) => {
      assert.strictEqual(method, "ping")
      pings.push({ id, end })
      return () => stopped.push(id)
    }
  })
  const verdicts: Array<string> = []
  const refuse = (status: number, body = "no") =>
    question.resolve({ id: 1, refusal: { status, body, retryAfter: undefined } }, (verdict: Verdict) =>
      verdicts.push(
        verdict._tag === "Failed" ? `${status} ${verdict.reason._tag} ${verdict.reason.delivery}` : verdict._tag
      ))
  const end = (ping: Ping) => pings.at(-1)?.end(ping)
  return { question, pings, stopped, verdicts, refuse, end }
}

const refusedWith = (status: number, body = "no"): Ping => ({ _tag: "Refused", id: 900_000, refusal: { status, body } })

describe("the question to a session", () => {
  it("is one ping for all requests that wait, and each learns what its own refusal means", () => {
    const { end, pings, refuse, verdicts } = setting()
    refuse(400)
    refuse(409)
    refuse(404)
    refuse(401)
    assert.deepStrictEqual(verdicts, ["404 SessionExpired Rejected", "401 AuthRequired Rejected"])
    assert.strictEqual(pings.length, 1)
    end(refusedWith(400))
    assert.deepStrictEqual(verdicts.slice(2), ["400 SessionExpired Rejected", "409 HttpFailed Unknown"])
  })

  it("is asked again with another id after the session has answered, and not after it was found lost", () => {
    const { end, pings, refuse, stopped, verdicts } = setting()
    refuse(400)
    end({ _tag: "Answered" })
    refuse(400)
    end(refusedWith(400))
    refuse(400)
    refuse(503)
    assert.strictEqual(pings.length, 2)
    assert.strictEqual(new Set(pings.map(({ id }) => id)).size, 2)
    assert.deepStrictEqual(stopped, pings.map(({ id }) => id))
    assert.deepStrictEqual(verdicts, [
      "400 HttpFailed Answered",
      "400 SessionExpired Rejected",
      "400 SessionExpired Rejected",
      "503 HttpFailed Unknown"
    ])
  })

  it.live("leaves the outcome unknown without an answer in time, and stops waiting", () =>
    Effect.gen(function*() {
      const { end, refuse, stopped, verdicts } = setting(1)
      refuse(400)
      assert.deepStrictEqual(verdicts, [])
      yield* until(() => verdicts.length, (count) => count > 0)
      end({ _tag: "Answered" })
      assert.deepStrictEqual(verdicts, ["400 HttpFailed Unknown"])
      assert.strictEqual(stopped.length, 1)
    }))

  it("calls nobody back after it was closed", () => {
    const { end, question, refuse, stopped, verdicts } = setting()
    refuse(400)
    question.close()
    end({ _tag: "Answered" })
    assert.deepStrictEqual(verdicts, [])
    assert.strictEqual(stopped.length, 1)
  })
})
