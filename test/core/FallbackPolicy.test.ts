/**
 * Fallback orders, and the message of AllServersFailed.
 */
import { assert, describe, it } from "@effect/vitest"
import { FallbackPolicy, Health, SessionError } from "@mcp-sessions/core"
import { Schema } from "effect"

const candidate = (server: string, inFlight = 0): FallbackPolicy.Candidate => ({
  server,
  inFlight,
  health: Health.report({ health: Health.unknown, now: 0 })
})

const namesOf = (candidates: ReadonlyArray<FallbackPolicy.Candidate>) => candidates.map(({ server }) => server)

const loads = Schema.NonEmptyArray(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })))

describe("fallback orders", () => {
  it.prop("every order keeps each server exactly once", [loads], ([loads]) => {
    const candidates = loads.map((inFlight, n) => candidate(`s${n}`, inFlight))
    for (const order of [FallbackPolicy.inOrder, FallbackPolicy.roundRobin(), FallbackPolicy.leastInFlight()]) {
      for (let n = 0; n < 3; n++) {
        assert.deepStrictEqual(namesOf(order(candidates)).toSorted(), namesOf(candidates).toSorted())
      }
    }
  }, { arbitrary: { seed: 1 } })

  it.prop("roundRobin starts with each server equally often", [loads], ([loads]) => {
    const candidates = loads.map((inFlight, n) => candidate(`s${n}`, inFlight))
    const order = FallbackPolicy.roundRobin()
    const firsts = candidates.flatMap(() => namesOf(order(candidates)).slice(0, 1))
    assert.deepStrictEqual(firsts, namesOf(candidates))
  }, { arbitrary: { seed: 1 } })

  it.prop("leastInFlight starts with a server that has the fewest requests in flight", [loads], ([loads]) => {
    const candidates = loads.map((inFlight, n) => candidate(`s${n}`, inFlight))
    const order = FallbackPolicy.leastInFlight()
    for (let n = 0; n < 3; n++) {
      const ordered = order(candidates).map(({ inFlight }) => inFlight)
      assert.deepStrictEqual(ordered, ordered.toSorted((one, other) => one - other))
    }
  }, { arbitrary: { seed: 1 } })

  it("leastInFlight takes turns between servers with equal load", () => {
    const order = FallbackPolicy.leastInFlight()
    const candidates = [candidate("a"), candidate("b"), candidate("busy", 9)]
    const firsts = Array.from({ length: 6 }, () => order(candidates)[0]?.server)
    assert.sameMembers([...new Set(firsts)], ["a", "b"])
  })
})

describe("AllServersFailed", () => {
  it("lists the error of each server in its message", () => {
    const reason = new SessionError.AuthRequired({ status: 401 })
    const errors = ["a", "b"].map((server) => new SessionError.SessionError({ server, reason }))
    const { message } = new FallbackPolicy.AllServersFailed({ errors })
    assert.strictEqual(message, `all servers failed:\n- ${errors[0]?.message}\n- ${errors[1]?.message}`)
  })
})
