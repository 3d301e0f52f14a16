/**
 * Finds out whether a server is still of the modern era after it has refused a request.
 *
 * Over HTTP, a server may be replaced by one of the legacy era at the same URL. That one refuses every request, because none belongs to a
 * session, with errors that also have other meanings. So the server is asked: only a server of the modern era answers `server/discover`.
 * All requests that wait for the answer share one question.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { type HttpFailed, ProtocolFailed, type RequestReason, SessionExpired } from "@mcp-sessions/core/SessionError"
import * as Exit from "effect/Exit"
import { clearTimeout, setTimeout } from "node:timers"

/** How long the answer of the server to a request is held back for the question, in milliseconds. */
const questionTimeout = 2000

/** JSON-RPC errors about the request itself: invalid params, headers or capabilities that are missing, a resource that is unknown. */
const ownErrors = new Set([-32_602, -32_020, -32_021, -32_002])

/** Statuses that do not depend on the era: credentials, sizes and limits. */
const ownStatuses = new Set([401, 403, 407, 408, 413, 429])

/** How long the words of a refusal are compared, in characters. Reasons carry the beginning of a body, so longer ones may go on differently. */
const comparedLimit = 300

/** Whether two refusals say the same, as far as can be known. */
const isAlike = (left: HttpFailed, right: RequestReason): boolean =>
  right._tag === "HttpFailed" && left.status === right.status && left.body === right.body &&
  (left.body === undefined || left.body.length <= comparedLimit)

/** Whether a failure may be that of a server of the legacy era, which does not know the connection. */
export const isDoubtful = (reason: RequestReason): boolean => {
  switch (reason._tag) {
    case "ProtocolFailed":
      return !reason.losesConnection && !ownErrors.has(reason.code)
    case "HttpFailed":
      return reason.status >= 400 && reason.status < 500 && !ownStatuses.has(reason.status)
    default:
      return false
  }
}

/**
 * What a doubtful failure means once the server has refused the question too, and so is of the legacy era. Of a JSON-RPC error, the delivery
 * stays. Only the same status and words say that the request was refused for what the question was refused for.
 */
const otherEra = (reason: RequestReason, refusal: RequestReason): RequestReason => {
  switch (reason._tag) {
    case "ProtocolFailed": {
      const { code, data, description, method } = reason
      return new ProtocolFailed({ method, code, description, data, isOtherEra: true })
    }
    case "HttpFailed": {
      const { body, status } = reason
      return new SessionExpired({ status, body, delivery: isAlike(reason, refusal) ? "Rejected" : "Unknown" })
    }
    default:
      return reason
  }
}

/** Returns the refusal of the question, which shows that the server has left the modern era. Failures of the network show nothing. */
const refusalIn = (outcome: Exit.Exit<unknown, RequestReason>): RequestReason | undefined => {
  const failure = Exit.isFailure(outcome) ? Exit.findErrorOption(outcome) : undefined
  return failure?._tag === "Some" && isDoubtful(failure.value) ? failure.value : undefined
}

export class EraCheck {
  readonly #send: (request: OutgoingRequest) => void
  #question: OutgoingRequest | undefined
  #timer: NodeJS.Timeout | undefined
  /** How a server of the legacy era has refused the question. It is not asked again: the connection is about to be replaced. */
  #refusal: RequestReason | undefined
  readonly #waiting = new Set<(refusal: RequestReason | undefined) => void>()

  constructor(send: (request: OutgoingRequest) => void) {
    this.#send = send
  }

  /** Whether a request is the question itself. */
  isQuestion(request: OutgoingRequest): boolean {
    return this.#question === request
  }

  /** Asks the server what a failure means, and calls back with that. Returns the cancellation. */
  ask(reason: RequestReason, then: (reason: RequestReason) => void): () => void {
    const waiter = (refusal: RequestReason | undefined) =>
      then(refusal === undefined ? reason : otherEra(reason, refusal))
    this.#waiting.add(waiter)
    if (this.#refusal !== undefined) queueMicrotask(() => this.#tellWaiting())
    else if (this.#question === undefined) this.#ask()
    return () => this.#waiting.delete(waiter)
  }

  #ask(): void {
    const question: OutgoingRequest = this.#question = {
      method: "server/discover",
      params: undefined,
      onProgress: undefined,
      id: undefined,
      isWritten: false,
      settle: (outcome) => this.#answer(refusalIn(outcome))
    }
    this.#timer = setTimeout(() => this.#answer(undefined), questionTimeout)
    this.#send(question)
  }

  #answer(refusal: RequestReason | undefined): void {
    clearTimeout(this.#timer)
    this.#question = undefined
    this.#refusal ??= refusal
    this.#tellWaiting()
  }

  #tellWaiting(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const then of waiting) then(this.#refusal)
  }
}
