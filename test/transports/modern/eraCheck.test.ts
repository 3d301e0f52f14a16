/**
 * What a refused request means once the server was asked for its era.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { Exit } from "effect"
import { EraCheck } from "../../../packages/transports/src/internal/modern/eraCheck.ts"

type Reason = SessionError.RequestReason

const refused = (status: number, body: string | undefined) =>
  new SessionError.HttpFailed({ status, retryAfter: undefined, body, delivery: "Answered" })

const conclude = (request: Reason, question: Reason): Reason | undefined => {
  let end: Reason | undefined
  new EraCheck(({ settle }) => settle(Exit.fail(question))).ask(request, (reason) => void (end = reason))
  return end
}

describe("a request that is refused as the question for the era is", () => {
  const long = "x".repeat(300)
  const rows: ReadonlyArray<
    readonly [title: string, request: Reason, question: Reason, delivery: "Rejected" | "Unknown"]
  > = [
    ["with the same words did not run", refused(400, "no session"), refused(400, "no session"), "Rejected"],
    ["with words as long as are compared did not run", refused(400, long), refused(400, long), "Rejected"],
    ["without words did not run", refused(400, undefined), refused(400, undefined), "Rejected"],
    ["with other words may have run", refused(400, "charged"), refused(400, "no session"), "Unknown"],
    ["with another status may have run", refused(422, "no"), refused(400, "no"), "Unknown"],
    [
      "with words that may go on differently may have run",
      refused(400, `${long}…`),
      refused(400, `${long}…`),
      "Unknown"
    ]
  ]
  for (const [title, request, question, delivery] of rows) {
    it(title, () => {
      assert.deepInclude(conclude(request, question), { _tag: "SessionExpired", delivery })
    })
  }
})
