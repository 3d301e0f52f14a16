/**
 * Requests of 2026-07-28 over every transport: metadata, input, result types, progress, cancellation.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { jsonOf, kindsOf, ledgerOf, use } from "../../fixtures/modernKinds.ts"
import { makeModernPeer } from "../../fixtures/modernPeer.ts"

const kinds = kindsOf({ make: makeModernPeer, program: ["peer"] })

for (const kind of kinds) {
  describe.concurrent(`a session of 2026-07-28 over ${kind.name}`, () => {
    it.live("sends the metadata of the revision with each request, and returns the result without its type", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const result = yield* session.callTool("echo", { region: "eu" })
          assert.notProperty(result, "resultType")
          const { arguments: args, meta } = jsonOf(result)
          assert.deepStrictEqual(args, { region: "eu" })
          assert.strictEqual(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28")
          assert.isString(meta["io.modelcontextprotocol/clientInfo"].name)
          assert.deepStrictEqual(meta["io.modelcontextprotocol/clientCapabilities"], {})
          assert.notProperty(meta, "io.modelcontextprotocol/logLevel")
        })))

    it.live("answers a request for input, and sends the first round once", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          for (let round = 0; round < 2; round++) {
            assert.deepStrictEqual(jsonOf(yield* session.callTool("ask")), {
              inputResponses: { who: { action: "accept", content: { name: "Ada" } } },
              requestState: "state 1"
            })
          }
          const calls = (yield* ledgerOf(session)).filter((what) => what === "tools/call ask")
          assert.strictEqual(calls.length, 4)
        }), { elicitation: { form: () => Effect.succeed({ action: "accept", content: { name: "Ada" } }) } }))

    it.live("fails on results without a known type, and does not send the call again", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          for (const tool of ["bare", "later"]) {
            const { reason } = yield* Effect.flip(session.callTool(tool))
            assert.strictEqual(reason._tag, "InvalidResult")
          }
          const calls = (yield* ledgerOf(session)).filter((what) => what === "tools/call bare")
          assert.strictEqual(calls.length, 1)
        })))

    it.live("fails a call that asks for input which the client cannot give, as answered", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const { reason } = yield* Effect.flip(session.callTool("ask"))
          assert.deepInclude(reason, { _tag: "InvalidResult", delivery: "Answered" })
        })))

    it.live("passes progress on before the result", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const seen: Array<unknown> = []
          const onProgress = (progress: unknown) => Effect.sync(() => void seen.push(progress))
          yield* session.callTool("progress", {}, { onProgress })
          assert.deepStrictEqual(seen, [{ progress: 1, total: 2, message: "half" }])
        })))

    it.live("asks for log messages with each request once a level is set", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          yield* session.setLogLevel("warning")
          const { meta } = jsonOf(yield* session.callTool("echo"))
          assert.strictEqual(meta["io.modelcontextprotocol/logLevel"], "warning")
        })))

    it.live("cancels an interrupted call in the way of the transport, and stays usable", () =>
      use(kind, (session) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(session.callTool("hang"), { startImmediately: true })
          const isSent = (ledger: ReadonlyArray<string>) => ledger.includes("tools/call hang")
          yield* Effect.repeat(ledgerOf(session), { until: isSent })
          yield* Fiber.interrupt(fiber)
          const isTold = (what: string) =>
            kind.name.startsWith("HTTP") ? what === "aborted" : what.startsWith("notifications/cancelled")
          const ledger = yield* Effect.repeat(ledgerOf(session), { until: (ledger) => ledger.some(isTold) })
          const notices = ledger.filter((what) => what.startsWith("notifications/cancelled"))
          assert.strictEqual(notices.length, kind.name.startsWith("HTTP") ? 0 : 1)
          assert.strictEqual(yield* session.generation, 1)
        })))
  })
}
