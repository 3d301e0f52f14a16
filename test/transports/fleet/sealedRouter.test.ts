/**
 * Sessions that any process may make.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ServerResponse } from "node:http"
import { SealedRouter } from "../../../packages/transports/src/internal/fleet/sealedRouter.ts"
import { makeFork } from "../../../packages/transports/src/internal/scopedFork.ts"
import { withLogs } from "../../fixtures/logs.ts"

describe("a session that is made for a request", () => {
  it.effect("has the request answered with 500 and ended after a defect, which is logged", () =>
    withLogs((logs) =>
      Effect.gen(function*() {
        const session = { name: "one", principal: "alice", protocolVersion: "2025-11-25", capabilities: {} }
        const router = new SealedRouter({
          fork: yield* makeFork,
          clients: { get: () => undefined, getOrMake: () => Effect.die("a fault") } as never,
          ended: { has: () => false } as never,
          tickets: { open: () => session } as never
        })
        const written: Array<unknown> = []
        const response = {
          headersSent: false,
          writeHead: (status: number) => written.push(status),
          end: (body: string) => written.push(JSON.parse(body).error.message)
        } as unknown as ServerResponse
        let ends = 0
        router.find("id", "alice")?.use({
          principal: "alice",
          request: { method: "POST", headers: {} },
          response,
          text: "",
          messages: [{ jsonrpc: "2.0", id: 1, method: "ping" }],
          onEnd: () => ends++
        }, () => assert.fail("there is no session"))
        assert.deepStrictEqual([ends, written], [1, [500, "the gateway failed"]])
        assert.isTrue(logs.some((line) => line.includes("the gateway failed to make a session")))
      })
    ))
})
