/**
 * The metrics of a gateway, as it serves them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { startFleetServer } from "../../fixtures/fleetServer.ts"
import { call, initialize, post, startGateway } from "../../fixtures/gateway.ts"

const token = "the-token-of-alice"

describe("the metrics of a gateway", () => {
  it.live("count the calls at each server, and the tokens that are refused by reason", () =>
    Effect.gen(function*() {
      const server = yield* startFleetServer
      const { url } = yield* startGateway({ counted: server.config }, { tokens: { alice: Redacted.make(token) } })
      const valueOf = (series: string) =>
        Effect.map(
          post(`${new URL(url).origin}/metrics`, undefined, { method: "GET", token }),
          ({ text }) => Number(text.split("\n").find((line) => line.startsWith(`${series} `))?.split(" ").at(-1) ?? 0)
        )
      const series = [
        "mcp_sessions_operations_total{mcp_server=\"counted\"}",
        "mcp_sessions_gateway_refusals_total{reason=\"NoToken\"}",
        "mcp_sessions_gateway_refusals_total{reason=\"UnknownToken\"}"
      ]
      const { session } = yield* post(url, initialize, { token })
      const before = yield* Effect.forEach(series, valueOf)
      yield* post(url, call(1, "count"), { session, token })
      assert.strictEqual((yield* post(url, initialize)).status, 401)
      assert.strictEqual((yield* post(url, initialize, { token: "another-token-of-alice" })).status, 401)
      const after = yield* Effect.forEach(series, valueOf)
      assert.deepStrictEqual(after.map((value, index) => value - (before[index] ?? 0)), [1, 1, 1])
    }))
})
