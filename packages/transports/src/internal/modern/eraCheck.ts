/**
 * Finds out whether a server is still of the modern era after it has refused a request.
 *
 * Over HTTP, a server may be replaced by one of the legacy era at the same URL. That one refuses every request, because none belongs to a
 * session, with errors that also have other meanings. So the server is asked: only a server of the modern era answers `server/discover`.
 * All requests that wait for the answer share one question.
 */
import type { OutgoingRequest } from "@mcp-sessions/core/Connection"
import { ProtocolFailed, type RequestReason, SessionExpired } from "@mcp-sessions/core/SessionError"
import * as Exit from "effect/Exit"
import { clearTimeout, setTimeout } from "node:timers"

/** How long the answer of the server to a request is held back for the question, in milliseconds. */
const questionTimeout = 2000

/** JSON-RPC errors about the request itself: invalid params, headers or capabilities that are missing, a resource that is unknown. */
const ownErrors = new Set([-32_602, -32_020, -32_021, -32_002])

/** Statuses that do not depend on the era: credentials, sizes and limits. */
const ownStatuses = new Set([401, 403, 407, 408, 413, 429])

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

/** What a doubtful failure means once the server has turned out to be of the legacy era. Of a JSON-RPC error, the delivery stays. */
const otherEra = (reason: RequestReason): RequestReason => {
  switch (reason._tag) {
    case "ProtocolFailed": {
      const { code, data, description, method } = reason
      return new ProtocolFailed({ method, code, description, data, isOtherEra: true })
    }
    case "HttpFailed":
      return new SessionExpired({ status: reason.status })
    default:
      return reason
  }
}

/** Whether the outcome of the question shows that the server has left the modern era. Failures of the network show nothing. */
const showsLegacy = (outcome: Exit.Exit<unknown, RequestReason>): boolean => {
  const failure = Exit.isFailure(outcome) ? Exit.findErrorOption(outcome) : undefined
  return failure?._tag === "Some" && isDoubtful(failure.value)
}

export class EraCheck {
  readonly #send: (request: OutgoingRequest) => void
  #question: OutgoingRequest | undefined
  #timer: NodeJS.Timeout | undefined
  /** Whether the server has been found to be of the legacy era. It is not asked again: the connection is about to be replaced. */
  #isLegacy = false
  readonly #waiting = new Set<(isLegacy: boolean) => void>()

  constructor(send: (request: OutgoingRequest) => void) {
    this.#send = send
  }

  /** Whether a request is the question itself. */
  isQuestion(request: OutgoingRequest): boolean {
    return this.#question === request
  }

  /** Asks the server what a failure means, and calls back with that. Returns the cancellation. */
  ask(reason: RequestReason, then: (reason: RequestReason) => void): () => void {
    const waiter = (isLegacy: boolean) => then(isLegacy ? otherEra(reason) : reason)
    this.#waiting.add(waiter)
    if (this.#isLegacy) queueMicrotask(() => this.#tellWaiting())
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
      settle: (outcome) => this.#answer(showsLegacy(outcome))
    }
    this.#timer = setTimeout(() => this.#answer(false), questionTimeout)
    this.#send(question)
  }

  #answer(isLegacy: boolean): void {
    clearTimeout(this.#timer)
    this.#question = undefined
    this.#isLegacy ||= isLegacy
    this.#tellWaiting()
  }

  #tellWaiting(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const then of waiting) then(this.#isLegacy)
  }
}
