/**
 * Requests over SSE that wait for a socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ServerResponse } from "node:http"
import { createRequire } from "node:module"
import { targetOf } from "../../../packages/transports/src/internal/http/httpExchange.ts"
import { SseTransport } from "../../../packages/transports/src/internal/sse/sseTransport.ts"
import { dispatching } from "../../fixtures/dispatching.ts"
import { outgoing } from "../../fixtures/outgoing.ts"
import { until } from "../../fixtures/peer.ts"
import * as Sse from "../../fixtures/scriptedSse.ts"

const { Agent } = createRequire(new URL("../../../packages/transports/package.json", import.meta.url))("undici")

const agent = (connections?: number) =>
  Effect.acquireRelease(
    Effect.sync(() => new Agent(connections === undefined ? {} : { connections })),
    (agent) => Effect.promise(() => agent.destroy())
  )

const messageOf = (name: string) => ({
  jsonrpc: "2.0" as const,
  id: 1,
  method: "tools/call",
  params: { name }
})

const textOf = (name: string) => JSON.stringify(messageOf(name))

describe("SseTransport", () => {
  it.live("never sends a request that was cancelled while it waited for a socket", () =>
    Effect.gen(function*() {
      let held: ServerResponse | undefined
      const server = yield* Sse.start(({ message, response }) => {
        if (message.params?.name !== "first") return false
        held = response
        return true
      })
      const transport = new SseTransport({
        connections: dispatching(yield* agent(1), yield* agent()),
        maxBytes: 1_000_000,
        authorizer: undefined,
        target: targetOf(new URL(server.url)),
        given: [],
        redact: (text) => text
      })
      yield* Effect.acquireRelease(
        Effect.promise(() => transport.start()),
        () => Effect.promise(() => transport.close())
      )
      const [first, second, third] = [outgoing(), outgoing(), outgoing()]
      transport.sendRequest(first, textOf("first"), messageOf("first"))
      yield* until(() => held, (response) => response !== undefined)
      assert.isFalse(transport.cancelRequest(first))
      transport.sendRequest(second, textOf("second"), messageOf("second"))
      assert.isTrue(transport.cancelRequest(second))
      transport.sendRequest(third, textOf("third"), messageOf("third"))
      held?.writeHead(202).end()
      yield* until(() => third.isWritten, (isWritten) => isWritten)
      yield* until(() => server.count("POST tools/call third"), (count) => count === 1)
      assert.isFalse(second.isWritten)
      assert.strictEqual(server.count("POST tools/call second"), 0)
    }).pipe(Effect.scoped))
})
