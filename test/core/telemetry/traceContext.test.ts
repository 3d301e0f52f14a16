/**
 * Trace context in params.
 */
import { assert, describe, it } from "@effect/vitest"
import { Telemetry } from "@mcp-sessions/core"
import { withTraceMeta } from "../../../packages/core/src/internal/telemetry/traceContext.ts"

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

describe("the trace context in params", () => {
  it("is added beside the other keys of `_meta`", () => {
    assert.deepStrictEqual(withTraceMeta({ name: "t", _meta: { other: 1 } }, { traceparent, baggage: "a=1" }), {
      name: "t",
      _meta: { traceparent, baggage: "a=1", other: 1 }
    })
  })

  it("adds params to a request without params", () => {
    assert.deepStrictEqual(withTraceMeta(undefined, { traceparent }), { _meta: { traceparent } })
  })

  it("never replaces that of the caller, and mixes no `tracestate` of another trace into it", () => {
    const params = { _meta: { traceparent: "theirs" } }
    assert.strictEqual(withTraceMeta(params, { traceparent, tracestate: "a=1" }), params)
    assert.deepStrictEqual(withTraceMeta({ _meta: { baggage: "theirs" } }, { traceparent, baggage: "ours" }), {
      _meta: { traceparent, baggage: "theirs" }
    })
  })
})

describe("a traceparent", () => {
  it("names a span and whether it is sampled", () => {
    const span = Telemetry.fromTraceparent(traceparent)
    assert.deepInclude(span, {
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      spanId: "00f067aa0ba902b7",
      sampled: true
    })
    assert.isFalse(Telemetry.fromTraceparent(`${traceparent.slice(0, -2)}00`)?.sampled)
  })

  for (
    const value of [
      undefined,
      1,
      "",
      "00-abc-def-01",
      `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
      `00-${"g".repeat(32)}-00f067aa0ba902b7-01`,
      `${traceparent}-more`
    ]
  ) {
    it(`is ignored where it is ${JSON.stringify(value) ?? "absent"}`, () => {
      assert.isUndefined(Telemetry.fromTraceparent(value))
    })
  }
})
