/**
 * Client questions: the requests that were sent to one client, until it has answered.
 *
 * A session that moves to another process is made anew there, and its client may answer what the process before has asked. The ids begin with
 * a text that belongs to one session at one process, so such an answer reaches no other question.
 */
import * as Effect from "effect/Effect"
import { codes, encodeNotification, encodeRequest, RpcError, type RpcId } from "../protocol/rpc.ts"
import type { OutgoingRequest } from "../streams/outgoing.ts"

/** How many questions of servers a client may leave unanswered. */
const questionLimit = 32

type Resume = (answer: Effect.Effect<unknown, RpcError>) => void

/** The refusal of a question beyond those that a client may leave unanswered. */
export const tooManyQuestions = new RpcError({
  code: codes.limited,
  message: "too many earlier requests are not answered yet"
})

/** The failure of a question that can no longer reach the client. */
const questionDropped = new RpcError({
  code: codes.limited,
  message: "the request was dropped before the client had read it"
})

export class ClientQuestions {
  readonly #prefix: string
  readonly #open = new Map<RpcId, Resume>()
  #last = 0

  /** `prefix` is what the ids begin with. No other session has it, in this process or another. */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** Expects the answer to a request to the client, and returns the id of the request; `undefined` if there are too many without an answer. */
  expect(resume: Resume): string | undefined {
    if (this.#open.size >= questionLimit) return undefined
    const id = `${this.#prefix}-${++this.#last}`
    this.#open.set(id, resume)
    return id
  }

  /** Encodes the request of an id. It fails once it is dropped before the client has read it. */
  encode(id: RpcId, method: string, params: object | undefined): OutgoingRequest {
    return {
      text: encodeRequest(id, method, params),
      isOpen: () => this.#open.has(id),
      lose: () => this.answer(id, Effect.fail(questionDropped))
    }
  }

  /** Expects the answer to a request no longer, and returns the notification that cancels it; `undefined` if it was answered. */
  withdraw(id: RpcId): string | undefined {
    return this.#open.delete(id) ? encodeNotification("notifications/cancelled", { requestId: id }) : undefined
  }

  /** Takes the answer of the client to a request. Answers to any other id are ignored. */
  answer(id: RpcId, answer: Effect.Effect<unknown, RpcError>): void {
    const resume = this.#open.get(id)
    this.#open.delete(id)
    resume?.(answer)
  }
}
