/**
 * What a server asks on behalf of one call, and the keys by which the client answers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { OpenQuestions } from "../../../packages/transports/src/internal/gateway/client/openQuestions.ts"

/** Asks, and gives the key that the client sees with the fiber that waits for the answer. */
const ask = (questions: OpenQuestions, wanted: string | undefined) =>
  Effect.gen(function*() {
    const before = new Set(Object.keys(questions.inputRequests))
    const fiber = yield* Effect.forkChild(questions.ask("elicitation/create", {}, wanted), { startImmediately: true })
    const key = Object.keys(questions.inputRequests).find((key) => !before.has(key)) ?? assert.fail("nothing was asked")
    return { fiber, key }
  })

describe("a question of a call", () => {
  it.effect("has the key of its server the first time, and another one afterwards, so a late answer reaches no other question", () =>
    Effect.gen(function*() {
      const questions = new OpenQuestions()
      const withdrawn = yield* ask(questions, "name")
      assert.strictEqual(withdrawn.key, "name")
      yield* Fiber.interrupt(withdrawn.fiber)
      const later = yield* ask(questions, "name")
      questions.answer({ name: "late" })
      assert.strictEqual(questions.size, 1)
      questions.answer({ [later.key]: "right" })
      assert.strictEqual(yield* Fiber.join(later.fiber), "right")
      const last = yield* ask(questions, "name")
      assert.strictEqual(new Set([withdrawn.key, later.key, last.key]).size, 3)
      yield* Fiber.interrupt(last.fiber)
    }))

  it.effect("never has the key that the gateway gives to another one, whatever its server wants", () =>
    Effect.gen(function*() {
      const questions = new OpenQuestions()
      const keys = new Set<string>()
      for (const wanted of ["question-1", undefined, "question-2", "question-1", "a", "a"]) {
        const { fiber, key } = yield* ask(questions, wanted)
        keys.add(key)
        yield* Fiber.interrupt(fiber)
      }
      assert.strictEqual(keys.size, 6)
    }))

  it.effect("has a key of the gateway once its server has used 256 of its own", () =>
    Effect.gen(function*() {
      const questions = new OpenQuestions()
      const keys: Array<string> = []
      for (let number = 0; number <= 256; number++) {
        const { fiber, key } = yield* ask(questions, `own ${number}`)
        keys.push(key)
        yield* Fiber.interrupt(fiber)
      }
      assert.deepStrictEqual(keys.slice(-2), ["own 255", "question-1"])
    }))
})
