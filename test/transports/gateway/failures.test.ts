/**
 * Failures of servers as errors of the gateway: what a client receives of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { SessionError } from "@mcp-sessions/core"
import { toRpcError } from "../../../packages/transports/src/internal/gateway/protocol/failures.ts"

const failed = (reason: SessionError.Reason) => toRpcError(new SessionError.SessionError({ server: "s", reason }))

const exited = new SessionError.ServerExited({
  exitCode: 1,
  signal: null,
  stderrTail: "the output of another client",
  delivery: "Unknown"
})

const responded = new SessionError.HttpFailed({
  status: 500,
  body: "the answer to another client",
  delivery: "Unknown"
})

describe("an error of the gateway", () => {
  it("has no output of the process and no body of the response, which may be of another client", () => {
    for (const lost of [exited, responded]) {
      const unknown = new SessionError.OutcomeUnknown({ method: "tools/call", tool: "t", sentAt: 0, lost })
      for (const reason of [lost, unknown]) {
        const { code, data, message } = failed(reason)
        assert.strictEqual(code, -32010)
        assert.notInclude(JSON.stringify([message, data]), "another client")
      }
    }
    assert.strictEqual(failed(exited).message, "s: the server exited with code 1")
    assert.strictEqual(failed(responded).message, "s: the server responded with HTTP 500")
  })

  it("has the reason and the delivery of the failure, and why the outcome is unknown", () => {
    assert.deepStrictEqual(failed(exited).data, {
      server: "s",
      reason: "ServerExited",
      delivery: "Unknown",
      isRetryable: true
    })
    const unknown = new SessionError.OutcomeUnknown({ method: "tools/call", tool: "t", sentAt: 0, lost: exited })
    assert.deepStrictEqual(failed(unknown).data, {
      server: "s",
      reason: "OutcomeUnknown",
      delivery: "Unknown",
      isRetryable: false,
      lost: "ServerExited"
    })
  })
})
