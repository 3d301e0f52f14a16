/**
 * Open questions: what a server asks on behalf of one call, until the client has answered.
 *
 * A call uses each key once, so an answer that arrives late reaches no later question.
 */
import * as Effect from "effect/Effect"
import { codes, RpcError, type RpcId } from "../protocol/rpc.ts"
import type { Reply } from "./clientCall.ts"

/** How many questions one call may have at a time. */
const questionLimit = 32

/** How many keys of its server one call remembers. The questions after that have keys of the gateway. */
const keyLimit = 256

/** What the keys of the gateway begin with. */
const numbered = "question-"

/** A request of a server to the client. */
export interface Question {
  readonly method: string
  readonly params: object | undefined
  readonly resume: (answer: Effect.Effect<unknown, RpcError>) => void
  /** The request to the client, where the gateway sends requests to its clients. */
  sent?: SentQuestion | undefined
}

/** A question that was sent as a request. */
interface SentQuestion {
  readonly id: RpcId
  /** The reply that has it, while that is in flight. Without one, it has to be sent again. */
  carrier: Reply | undefined
  /** Called once the question is no longer open. */
  readonly close: () => void
}

export class OpenQuestions {
  readonly #byKey = new Map<string, Question>()
  /** Answers that the client has sent before they were asked for. */
  readonly #early: Map<string, unknown>
  /** The keys of the server that were used. */
  readonly #used = new Set<string>()
  #last = 0
  /** Whether all keys are those of the gateway. */
  isNumbered = false
  /** Called when questions were added, answered or withdrawn. */
  onChange: () => void = () => {}

  /** `early` has the answers of a request to questions that the server has not asked yet. */
  constructor(early: object = {}) {
    this.#early = new Map(Object.entries(early))
  }

  get size(): number {
    return this.#byKey.size
  }

  /** The questions by their keys. */
  [Symbol.iterator](): IterableIterator<[string, Question]> {
    return this.#byKey.entries()
  }

  /** The questions as the revision 2026-07-28 writes them. */
  get inputRequests(): Readonly<Record<string, unknown>> {
    return Object.fromEntries(Array.from(this.#byKey, ([key, { method, params = {} }]) => [key, { method, params }]))
  }

  /** Asks, and waits for the answer. Interruption withdraws the question. `wanted` is the key of the server, if it has one. */
  ask(method: string, params: object | undefined, wanted: string | undefined): Effect.Effect<unknown, RpcError> {
    return Effect.callback((resume) => {
      if (wanted !== undefined && this.#early.has(wanted)) {
        const answer = this.#early.get(wanted)
        this.#early.delete(wanted)
        return resume(Effect.succeed(answer))
      }
      if (this.#byKey.size >= questionLimit) {
        return resume(Effect.fail(new RpcError({ code: codes.limited, message: "too many questions" })))
      }
      const key = this.#keyOf(wanted)
      this.#byKey.set(key, { method, params, resume })
      this.onChange()
      return Effect.sync(() => this.#close(key))
    })
  }

  /** The key of a question: the one that the server wants, the first time, or one of the gateway. */
  #keyOf(wanted: string | undefined): string {
    const isFree = wanted !== undefined && !this.isNumbered && !wanted.startsWith(numbered) &&
      !this.#used.has(wanted) && this.#used.size < keyLimit
    if (!isFree) return `${numbered}${++this.#last}`
    this.#used.add(wanted)
    return wanted
  }

  /** Takes answers by their keys. Those to no open question are ignored. */
  answer(answers: Readonly<Record<string, unknown>>): void {
    for (const [key, answer] of Object.entries(answers)) this.settle(key, Effect.succeed(answer))
  }

  /** Ends a question with its answer. */
  settle(key: string, answer: Effect.Effect<unknown, RpcError>): void {
    this.#close(key)?.resume(answer)
  }

  #close(key: string): Question | undefined {
    const question = this.#byKey.get(key)
    if (question === undefined) return undefined
    this.#byKey.delete(key)
    question.sent?.close()
    this.onChange()
    return question
  }
}
