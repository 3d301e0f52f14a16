/**
 * What a client answers to a question of a server, as the server receives it.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ClientHandlers } from "@mcp-sessions/core"
import { Effect, Exit } from "effect"
import type { ClientSession } from "../../../packages/transports/src/internal/gateway/client/clientSession.ts"
import { handlersOf } from "../../../packages/transports/src/internal/gateway/client/questions.ts"
import { WaitingCalls } from "../../../packages/transports/src/internal/gateway/client/waitingCalls.ts"

const waiting = new WaitingCalls({ limits: { maxWaiting: 9, maxWaitingPerPrincipal: 9 }, permitsOf: () => undefined })

const origin: ClientHandlers.Origin = { owner: "alice x", server: "only", call: undefined }

/** The handlers of a client that gives one answer to everything. */
const answering = (answer: unknown) => {
  const client = {
    capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} },
    isModern: false,
    calls: { of: () => undefined },
    ask: () => Effect.succeed(answer)
  } as unknown as ClientSession
  return handlersOf({ catalogOwner: "gateway", clientOf: () => client, waiting })(origin)
}

const none = Effect.die("the handler is missing")

const content = { type: "text", text: "hello" }

const sampling = (answer: unknown, tools?: []) =>
  answering(answer).sampling?.({ messages: [], maxTokens: 1, ...(tools === undefined ? {} : { tools }) }, origin) ??
    none

const form = (answer: unknown) =>
  answering(answer).elicitation?.form?.({
    message: "?",
    requestedSchema: { type: "object", properties: {} }
  }, origin) ?? none

const roots = (answer: unknown) => answering(answer).roots?.(origin) ?? none

describe("the answer of a client", () => {
  it.effect("reaches the server as it is if it is a result of the method", () =>
    Effect.gen(function*() {
      const sampled: unknown = { model: "m", role: "assistant", content, _meta: { kept: true } }
      assert.deepStrictEqual(yield* sampling(sampled), sampled)
      const several = { model: "m", role: "assistant", content: [content, content] }
      assert.deepStrictEqual<unknown>(yield* sampling(several, []), several)
      const elicited: unknown = { action: "accept", content: { name: "Ada" } }
      assert.deepStrictEqual(yield* form(elicited), elicited)
      assert.deepStrictEqual(yield* roots({ roots: [{ uri: "file:///here" }] }), [{ uri: "file:///here" }])
    }))

  it.effect("of another shape fails the question, and the server learns the method alone", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<readonly [string, Effect.Effect<unknown, ClientHandlers.RequestRefused>]> = [
        ["sampling/createMessage", sampling({ model: "m" })],
        ["sampling/createMessage", sampling({ model: "m", role: "assistant", content: [content] })],
        ["elicitation/create", form({ action: "perhaps" })],
        ["elicitation/create", form(undefined)],
        ["elicitation/create", form([])],
        ["roots/list", roots({})],
        ["roots/list", roots({ roots: [{ name: "no uri" }] })],
        ["roots/list", roots({ roots: "file:///here" })]
      ]
      for (const [method, asked] of bad) {
        const exit = yield* Effect.exit(Effect.mapError(asked, ({ code, description }) => [code, description]))
        assert.deepStrictEqual(exit, Exit.fail([-32_603, `the client did not answer with a result of ${method}`]))
      }
    }))
})
