/**
 * Modern call: a request of revision 2026-07-28, which may take several POSTs. While a server asks, the call is parked: its client has a result with
 * the questions and a sealed state, and sends the request again with the answers. When a call becomes a task, its client gets a handle and polls
 * the outcome.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
 */
import type { LogLevel } from "@mcp-sessions/core/Notification"
import type { ClientCall, Reply } from "../client/clientCall.ts"
import { OpenQuestions } from "../client/openQuestions.ts"
import type { TaskPlace } from "../client/tasks.ts"
import { encodeResult, type RpcId } from "../protocol/rpc.ts"

/** How long a client may take to send the answers, in milliseconds. */
const parkedTimeout = 10 * 60 * 1000

/** Calls a function after a time in milliseconds, and returns what cancels that. */
type Later = (run: () => void, time: number) => () => void

export class ModernCall implements ClientCall {
  readonly upstreamIds: Array<RpcId> = []
  run: ClientCall["run"] = undefined
  isCancelled = false
  server: string | undefined = undefined
  mayBeSent = false
  place: TaskPlace | undefined = undefined
  refuse: (() => void) | undefined = undefined
  id: RpcId
  progressToken: RpcId | undefined
  reply: Reply
  readonly logLevel: LogLevel | undefined
  readonly questions: OpenQuestions
  readonly #seal: () => string
  readonly #onExpire: () => void
  #isReplied = false
  /** The reply with which the client leaves the call, and polls it from then on. */
  #handle: (() => string) | undefined
  readonly #later: Later
  #cancelExpiry: (() => void) | undefined

  /**
   * `seal` gives the sealed state by which the client finds the call again, another one each time. `answers` are those of a request without a state,
   * to questions that the server has not asked yet. `onExpire` is called if the client does not send its answers in time.
   */
  constructor(options: {
    readonly seal: () => string
    readonly onExpire: () => void
    readonly later: Later
    readonly answers: object
    readonly logLevel: LogLevel | undefined
    readonly id: RpcId
    readonly progressToken: RpcId | undefined
    readonly reply: Reply
  }) {
    this.logLevel = options.logLevel
    this.#seal = options.seal
    this.#onExpire = options.onExpire
    this.#later = options.later
    this.questions = new OpenQuestions(options.answers)
    this.questions.onChange = () => this.#parkSoon()
    this.id = options.id
    this.progressToken = options.progressToken
    this.reply = options.reply
  }

  /** Whether its client waits for nothing now: it has the questions, or a handle. */
  get isParked(): boolean {
    return this.#isReplied
  }

  /** Whether its client has the questions, and learns with its next request that the call is a task. */
  get owesHandle(): boolean {
    return this.#isReplied && this.#handle !== undefined
  }

  /** Goes on with the answers of the client, and replies to the POST that they came with. */
  proceed(options: {
    readonly id: RpcId
    readonly progressToken: RpcId | undefined
    readonly reply: Reply
    readonly answers: Readonly<Record<string, unknown>>
  }): void {
    const { answers, id, progressToken, reply } = options
    this.#cancelExpiry?.()
    this.id = id
    this.progressToken = progressToken
    this.reply = reply
    this.#isReplied = false
    this.questions.answer(answers)
    if (this.#handle !== undefined) return this.#leave(this.#handle)
    // What is not answered is asked again.
    this.#parkSoon()
  }

  /** Replies with the handle of a task, now or to the POST that brings the answers. */
  leave(handle: () => string): void {
    if (this.#isReplied) this.#handle = handle
    else this.#leave(handle)
  }

  #leave(handle: () => string): void {
    this.#handle = undefined
    this.settle(handle())
  }

  /** Replies with the outcome. */
  settle(message: string, status?: number): void {
    this.#cancelExpiry?.()
    if (this.#isReplied) return
    this.#isReplied = true
    this.reply.settle(message, status)
  }

  /** Questions that a server asks together go to the client together. */
  #parkSoon(): void {
    setImmediate(() => this.#park())
  }

  #park(): void {
    if (this.#isReplied || this.questions.size === 0) return
    this.#isReplied = true
    this.#cancelExpiry = this.#later(this.#onExpire, parkedTimeout)
    const { inputRequests } = this.questions
    this.reply.settle(
      encodeResult(this.id, { resultType: "input_required", inputRequests, requestState: this.#seal() })
    )
  }
}
