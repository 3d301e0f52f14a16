/**
 * Calls whose servers ask their clients: they hold permits for minutes, so they have limits of their own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Dispatcher } from "../../../packages/transports/src/internal/gateway/call/dispatcher.ts"
import { WaitingCalls } from "../../../packages/transports/src/internal/gateway/client/waitingCalls.ts"
import { ModernCall } from "../../../packages/transports/src/internal/gateway/modern/modernCall.ts"
import { makeFork } from "../../../packages/transports/src/internal/scopedFork.ts"
import { serveAsking } from "../../fixtures/askingHttp.ts"
import { startGateway } from "../../fixtures/gateway.ts"
import { modernRequest } from "../../fixtures/modernRequest.ts"

const capabilities = { elicitation: { form: {} } }

const ask = (url: string) => modernRequest(url, "tools/call", { name: "ask", arguments: {} }, { capabilities })

const refused = {
  code: -32_000,
  message: "too many calls wait for answers of their clients",
  data: { server: "only", reason: "TooManyWaiting", delivery: "Unknown", isRetryable: false }
}

describe("a call that its server asks about", () => {
  for (const protocol of ["legacy", "2026-07-28"] as const) {
    it.live(`fails at once beyond the limit, and waits again after an answer, at a server of ${protocol}`, () =>
      Effect.gen(function*() {
        const { url } = yield* startGateway({ only: { url: yield* serveAsking, protocol } }, {
          limits: { maxWaitingPerPrincipal: 1 }
        })
        const first = yield* ask(url)
        assert.strictEqual(first.result?.resultType, "input_required")
        assert.deepStrictEqual((yield* ask(url)).error, refused)
        const { inputRequests = {}, requestState } = first.result ?? {}
        const [key = ""] = Object.keys(inputRequests as object)
        const params = {
          name: "ask",
          arguments: {},
          requestState,
          inputResponses: { [key]: { action: "accept", content: { name: "Ada" } } }
        }
        const done = yield* modernRequest(url, "tools/call", params, { capabilities })
        assert.strictEqual(done.result?.resultType, "complete")
        assert.strictEqual((yield* ask(url)).result?.resultType, "input_required")
      }))
  }

  it.live("leaves half of the permits of its server to other calls", () =>
    Effect.gen(function*() {
      const only = { url: yield* serveAsking, protocol: "legacy" as const, maxInFlightTotal: 4 }
      const { url } = yield* startGateway({ only })
      for (let n = 0; n < 2; n++) assert.strictEqual((yield* ask(url)).result?.resultType, "input_required")
      assert.deepStrictEqual((yield* ask(url)).error, refused)
    }))
})

describe("a call of 2026-07-28 whose client has the questions", () => {
  it.live("goes on with the answers to its own request, and gives its result to no other request", () =>
    Effect.gen(function*() {
      const { url } = yield* startGateway({ only: { url: yield* serveAsking, protocol: "legacy" } })
      const { inputRequests = {}, requestState } = (yield* ask(url)).result ?? {}
      const [key = ""] = Object.keys(inputRequests as object)
      const inputResponses = { [key]: { action: "accept", content: { name: "Ada" } } }
      const answers = { arguments: {}, requestState, inputResponses }
      const answer = (method: string, params: object) =>
        modernRequest(url, method, { ...answers, ...params }, { capabilities })
      assert.strictEqual((yield* answer("tools/call", { name: "other" })).error?.code, -32_602)
      assert.strictEqual((yield* answer("prompts/get", { name: "ask" })).error?.code, -32_602)
      assert.strictEqual((yield* answer("tools/call", { name: "ask" })).result?.resultType, "complete")
    }))

  it.effect("expires after 10 minutes without the answers, and not before", () =>
    Effect.gen(function*() {
      const { later } = new Dispatcher({ fork: yield* makeFork, now: () => 0, record: undefined })
      let expired = 0
      const settled: Array<string | undefined> = []
      const call = new ModernCall({
        later,
        seal: () => "sealed",
        onExpire: () => void expired++,
        answers: {},
        logLevel: undefined,
        id: 1,
        progressToken: undefined,
        reply: { related: () => false, settle: (message) => void settled.push(message) }
      })
      yield* Effect.forkChild(call.questions.ask("elicitation/create", {}, "key"), { startImmediately: true })
      // The questions go to the client at the end of the turn.
      yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      assert.strictEqual(JSON.parse(settled.join()).result.resultType, "input_required")
      yield* TestClock.adjust("599 seconds")
      assert.strictEqual(expired, 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(expired, 1)
    }))
})

describe("waiting calls", () => {
  const client = (name: string, principal: string) => ({ name, principal })
  const waitingWith = (limits: { readonly maxWaiting?: number } = {}) =>
    new WaitingCalls({
      limits: { maxWaiting: 100, maxWaitingPerPrincipal: 100, ...limits },
      permitsOf: () => ({ maxInFlight: 4, maxInFlightTotal: 6 })
    })

  it("count a call once, whatever the number of its questions, until the last one is answered", () => {
    const waiting = waitingWith({ maxWaiting: 1 })
    const question = { client: client("a", "alice"), server: "only", call: {} }
    const [first, second] = [waiting.begin(question), waiting.begin(question)]
    const other = { ...question, call: {} }
    assert.isUndefined(waiting.begin(other))
    first?.()
    first?.()
    assert.isUndefined(waiting.begin(other))
    second?.()
    assert.isDefined(waiting.begin(other))
  })

  it("have half of the permits of a session and of a server, also those of several principals together", () => {
    const waiting = waitingWith()
    const begin = (name: string, principal: string) =>
      waiting.begin({ client: client(name, principal), server: "only", call: {} })
    assert.isDefined(begin("a", "alice"))
    assert.isDefined(begin("a", "alice"))
    assert.isUndefined(begin("a", "alice"))
    assert.isDefined(begin("b", "bob"))
    assert.isUndefined(begin("c", "carol"))
  })
})
