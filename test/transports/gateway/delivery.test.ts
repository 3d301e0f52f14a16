/**
 * How far a request got whose session closes: the answer to the client and the record of the audit agree.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { AuditRecord } from "../../../packages/transports/src/internal/gateway/call/audit.ts"
import { Dispatcher } from "../../../packages/transports/src/internal/gateway/call/dispatcher.ts"
import { type ClientCall, interrupt } from "../../../packages/transports/src/internal/gateway/client/clientCall.ts"
import type { ClientSession } from "../../../packages/transports/src/internal/gateway/client/clientSession.ts"
import { makeFork } from "../../../packages/transports/src/internal/scopedFork.ts"

/** A client whose server at most takes a request, and never answers. */
const clientWith = (upstream: Effect.Effect<object>) =>
  ({
    principal: "alice",
    name: "a-client",
    protocolVersion: "2025-06-18",
    isModern: false,
    calls: new Map<number, ClientCall>(),
    touch: () => {},
    tasks: { isOffered: false },
    lists: {
      offer: {
        tool: () => ({ server: "files", name: "write", item: {} }),
        serverOf: () => "files",
        serverOfTemplate: () => "files"
      }
    },
    log: { told: () => Effect.void },
    upstreams: { get: () => upstream, ready: () => undefined }
  }) as unknown as ClientSession

const take = (_: unknown, ...rest: ReadonlyArray<unknown>) => {
  const { onSent } = rest.at(-1) as { readonly onSent: (id: number) => void }
  return Effect.andThen(Effect.sync(() => onSent(7)), Effect.never)
}

const connecting = Effect.never
const sending = Effect.succeed({ readResource: take, callTool: take, complete: () => Effect.never })

/** A session over a connection that does not give the ids of its requests. */
const sendingWithoutIds = Effect.succeed({ callTool: () => Effect.never })

describe("a request whose session closes", () => {
  for (
    const [title, upstream, request, expected] of [
      [
        "a tool call that waits for the connection was not sent, and may be repeated",
        connecting,
        { method: "tools/call", params: { name: "write" } },
        { delivery: "NotSent", isRetryable: true }
      ],
      [
        "a tool call that was sent may have run, and is not to be repeated",
        sending,
        { method: "tools/call", params: { name: "write" } },
        { delivery: "Unknown", isRetryable: false }
      ],
      [
        "a read that waits for the connection was not sent",
        connecting,
        { method: "resources/read", params: { uri: "note://1" } },
        { delivery: "NotSent", isRetryable: true }
      ],
      [
        "a read that was sent may have reached the server, and may be repeated",
        sending,
        { method: "resources/read", params: { uri: "note://1" } },
        { delivery: "Unknown", isRetryable: true }
      ],
      [
        "a tool call whose id is not known may have run, and is not to be repeated",
        sendingWithoutIds,
        { method: "tools/call", params: { name: "write" } },
        { delivery: "Unknown", isRetryable: false }
      ],
      [
        "a completion that was sent may have reached the server",
        sending,
        {
          method: "completion/complete",
          params: { ref: { type: "ref/resource", uri: "note://1" }, argument: { name: "a", value: "b" } }
        },
        { delivery: "Unknown", isRetryable: true }
      ]
    ] as const
  ) {
    it.effect(title, () =>
      Effect.gen(function*() {
        const records: Array<AuditRecord> = []
        const dispatcher = new Dispatcher({
          fork: yield* makeFork,
          now: () => 0,
          record: (record) => void records.push(record)
        })
        const settled: Array<string | undefined> = []
        const reply = { related: () => false, settle: (message: string | undefined) => void settled.push(message) }
        const client = clientWith(upstream)
        dispatcher.run(client, { jsonrpc: "2.0", id: 1, ...request }, reply)
        const fiber = interrupt(client.calls.get(1) ?? assert.fail(`not in flight: ${settled.join()}`))
        if (fiber !== undefined) yield* Fiber.await(fiber)
        assert.deepStrictEqual(settled.map((text) => JSON.parse(text ?? "").error.data), [
          { reason: "SessionClosed", ...expected }
        ])
        for (const record of records) assert.deepInclude(record, { outcome: "Cancelled", delivery: expected.delivery })
      }))
  }
})
