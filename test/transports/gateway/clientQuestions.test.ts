/**
 * The requests to a client that it has not answered yet.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { ClientQuestions } from "../../../packages/transports/src/internal/gateway/client/clientQuestions.ts"
import { RpcError } from "../../../packages/transports/src/internal/gateway/protocol/rpc.ts"

/** Asks as often as it is told, and notes the answers. */
const asking = (prefix: string) => {
  const questions = new ClientQuestions(prefix)
  const answers: Array<Exit.Exit<unknown, RpcError>> = []
  const ask = () => questions.expect((answer) => void answers.push(Effect.runSyncExit(answer)))
  return { questions, answers, ask }
}

describe("a question to a client", () => {
  it("is not answered by what the client sends to a question of the session at another process", () => {
    const [before, after] = [asking("before"), asking("after")]
    const [late, open] = [before.ask(), after.ask()]
    assert.notStrictEqual(late, open)
    for (const id of [late ?? "", 1, "1"]) after.questions.answer(id, Effect.succeed("late"))
    assert.isEmpty(after.answers)
    after.questions.answer(open ?? "", Effect.succeed("right"))
    assert.deepStrictEqual(after.answers, [Exit.succeed("right")])
  })

  it("is answered once, with the result or the error of the client", () => {
    const { answers, ask, questions } = asking("only")
    const [first, second] = [ask() ?? "", ask() ?? ""]
    const refused = new RpcError({ code: -1, message: "no" })
    questions.answer(second, Effect.fail(refused))
    questions.answer(first, Effect.succeed(1))
    questions.answer(first, Effect.succeed(2))
    assert.deepStrictEqual(answers, [Exit.fail(refused), Exit.succeed(1)])
  })

  it("is refused while 32 are not answered, until one is answered or withdrawn", () => {
    const { ask, questions } = asking("only")
    const ids = Array.from({ length: 32 }, ask)
    assert.isUndefined(ask())
    const [first = "", second = ""] = ids
    questions.answer(first, Effect.succeed({}))
    assert.isDefined(ask())
    assert.isUndefined(ask())
    assert.include(questions.withdraw(second), "notifications/cancelled")
    assert.isUndefined(questions.withdraw(second))
    assert.isDefined(ask())
    assert.strictEqual(new Set(ids).size, 32)
  })
})
