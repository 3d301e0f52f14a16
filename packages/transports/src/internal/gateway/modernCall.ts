/**
 * Modern call: a request of revision 2026-07-28, which may take several POSTs. While a server asks, the call is parked: its client has a result with
 * the questions and a sealed state, and sends the request again with the answers.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
 */
import type { LogLevel } from "@mcp-sessions/core/Notification"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { type ClientCall, interrupt, type Reply } from "./clientSession.ts"
import { codes, encodeResult, RpcError, type RpcId } from "./rpc.ts"

/** How long a client may take to send the answers, in milliseconds. */
const parkedTimeout = 10 * 60 * 1000

/** How many questions one call may have at a time. */
const questionLimit = 32

interface Question {
  readonly method: string
  readonly params: object | undefined
  readonly resume: (answer: Effect.Effect<unknown, RpcError>) => void
}

export class ModernCall implements ClientCall {
  readonly upstreamIds: Array<RpcId> = []
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  drop: (() => void) | undefined = undefined
  isCancelled = false
  server: string | undefined = undefined
  id: RpcId
  progressToken: RpcId | undefined
  reply: Reply
  readonly logLevel: LogLevel | undefined
  readonly #seal: () => string
  /** Answers that the client has sent before they were asked for. */
  readonly #early: Map<string, unknown>
  readonly #questions = new Map<string, Question>()
  #lastQuestion = 0
  #isReplied = false
  #timer: NodeJS.Timeout | undefined

  /**
   * `seal` gives the sealed state by which the client finds the call again, another one each time. `answers` are those of a request without a state,
   * to questions that the server has not asked yet.
   */
  constructor(options: {
    readonly seal: () => string
    readonly answers: object
    readonly logLevel: LogLevel | undefined
    readonly id: RpcId
    readonly progressToken: RpcId | undefined
    readonly reply: Reply
  }) {
    this.logLevel = options.logLevel
    this.#seal = options.seal
    this.#early = new Map(Object.entries(options.answers))
    this.id = options.id
    this.progressToken = options.progressToken
    this.reply = options.reply
  }

  /** Whether its client waits for nothing now: it has the questions. */
  get isParked(): boolean {
    return this.#isReplied
  }

  /** Asks the client, with the result of the POST that it waits for. */
  readonly ask = (
    method: string,
    params: object | undefined,
    wanted: string | undefined
  ): Effect.Effect<unknown, RpcError> =>
    Effect.callback((resume) => {
      if (wanted !== undefined && this.#early.has(wanted)) {
        const answer = this.#early.get(wanted)
        this.#early.delete(wanted)
        return resume(Effect.succeed(answer))
      }
      if (this.#questions.size >= questionLimit) {
        return resume(Effect.fail(new RpcError({ code: codes.limited, message: "too many questions" })))
      }
      const key = wanted !== undefined && !this.#questions.has(wanted) ? wanted : `question-${++this.#lastQuestion}`
      this.#questions.set(key, { method, params, resume })
      // Questions that a server asks together go to the client together.
      setImmediate(() => this.#park())
      return Effect.sync(() => this.#questions.delete(key))
    })

  /** Goes on with the answers of the client, and replies to the POST that they came with. */
  proceed(options: {
    readonly id: RpcId
    readonly progressToken: RpcId | undefined
    readonly reply: Reply
    readonly answers: Readonly<Record<string, unknown>>
  }): void {
    const { answers, id, progressToken, reply } = options
    clearTimeout(this.#timer)
    this.id = id
    this.progressToken = progressToken
    this.reply = reply
    this.#isReplied = false
    for (const [key, answer] of Object.entries(answers)) {
      const question = this.#questions.get(key)
      this.#questions.delete(key)
      question?.resume(Effect.succeed(answer))
    }
    // What is not answered is asked again.
    setImmediate(() => this.#park())
  }

  /** Replies with the outcome. */
  settle(message: string, status?: number): void {
    clearTimeout(this.#timer)
    if (this.#isReplied) return
    this.#isReplied = true
    this.reply.settle(message, status)
  }

  #park(): void {
    if (this.#isReplied || this.#questions.size === 0) return
    this.#isReplied = true
    const inputRequests = Object.fromEntries(
      Array.from(this.#questions, ([key, { method, params = {} }]) => [key, { method, params }])
    )
    this.#timer = setTimeout(() => interrupt(this), parkedTimeout)
    this.#timer.unref()
    this.reply.settle(
      encodeResult(this.id, { resultType: "input_required", inputRequests, requestState: this.#seal() })
    )
  }
}
