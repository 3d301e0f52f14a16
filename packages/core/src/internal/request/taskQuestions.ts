/**
 * Questions of a task of 2026-07-28: each is asked once, while the task is polled, and answered with `tasks/update`.
 *
 * The handlers of the client answer on the live connection. If that is lost meanwhile, the questions are asked again on the next one, as long as
 * the server still has them.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { Connection } from "../../Connection.ts"
import { InvalidResult, type Reason, type SessionError } from "../../SessionError.ts"
import type { TaskCall } from "./taskCall.ts"

/** How many questions a task may have at a time, and in all; and how long their keys may be, in characters. */
const limits = { atOnce: 100, inAll: 1000, key: 1024 }

type Questions = Readonly<Record<string, unknown>>

export class TaskQuestions {
  readonly #call: TaskCall
  /** The keys of the questions that were asked. A server shows a question until it has seen the answer. */
  readonly #asked = new Set<string>()
  readonly #failed = Deferred.makeUnsafe<never, SessionError>()

  constructor(call: TaskCall) {
    this.#call = call
  }

  /** Fails when a question cannot be answered. */
  get failed(): Effect.Effect<never, SessionError> {
    return Deferred.await(this.#failed)
  }

  /** Begins to answer the questions of a status that are new. */
  take(inputRequests: unknown): Effect.Effect<void, SessionError, Scope.Scope> {
    if (!Predicate.isObject(inputRequests)) return this.#invalid("requires input, and does not say which")
    const keys = Object.keys(inputRequests)
    if (keys.length > limits.atOnce) return this.#invalid(`has more than ${limits.atOnce} questions`)
    if (keys.some((key) => key.length > limits.key)) {
      return this.#invalid(`has a question with a key of more than ${limits.key} characters`)
    }
    const added = Object.entries(inputRequests).filter(([key]) => !this.#asked.has(key))
    const connection = this.#call.connection()
    if (added.length === 0 || connection === undefined) return Effect.void
    if (this.#asked.size + added.length > limits.inAll) {
      return this.#invalid(`has asked more than ${limits.inAll} questions`)
    }
    for (const [key] of added) this.#asked.add(key)
    return Effect.asVoid(
      Effect.forkScoped(this.#answer(connection, Object.fromEntries(added)), { startImmediately: true })
    )
  }

  #invalid(problem: string): Effect.Effect<never, SessionError> {
    const description = `the task of ${this.#call.tool} ${problem}`
    return this.#call.fail(new InvalidResult({ method: "tasks/get", description }))
  }

  #answer(connection: Connection, inputRequests: Questions): Effect.Effect<void> {
    const { call } = this.#call
    const { answerInput } = connection
    const asked: Effect.Effect<Questions, Reason> = answerInput === undefined
      ? Effect.fail(new InvalidResult({ method: "tasks/get", description: "the connection has no handlers" }))
      : Effect.raceFirst(
        answerInput.call(connection, { inputRequests, call }),
        Effect.flatMap(connection.closed, (reason) => Effect.fail(reason))
      )
    return asked.pipe(
      Effect.matchEffect({
        onSuccess: (inputResponses) => this.#update(inputResponses),
        onFailure: (reason) => {
          if (!reason.losesConnection && this.#call.connection() === connection) return this.#call.fail(reason)
          for (const key of Object.keys(inputRequests)) this.#asked.delete(key)
          return Effect.void
        }
      }),
      Effect.catch((error) => Effect.asVoid(Deferred.fail(this.#failed, error)))
    )
  }

  /** The server ignores answers that it has, so this may be repeated. */
  #update(inputResponses: Questions): Effect.Effect<void, SessionError> {
    return this.#call.request({ method: "tasks/update", params: { inputResponses }, decode: () => Exit.void })
  }
}
