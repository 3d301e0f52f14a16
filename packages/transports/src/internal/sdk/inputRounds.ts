/**
 * Answers what servers of 2026-07-28 ask in results, with the SDK's client: it runs the handlers.
 *
 * After a result that asks for input, the client sends the request again with the answers and the state of the server, until the request is done.
 * It is made to send the request as if for the first time, with the received result attached to the params under a symbol. The transport answers
 * that one locally, so that the first round is not sent twice.
 *
 * What a task asks is answered in the same way, by a call that never leaves: the transport takes the answers from its second round.
 *
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
 */
import type { Connection, OutgoingRequest } from "@mcp-sessions/core/Connection"
import { InvalidResult, type RequestReason } from "@mcp-sessions/core/SessionError"
import type { JSONRPCMessage, RequestId, StandardSchemaV1, Transport } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type { FulfilInput } from "../modern/modernCodec.ts"
import { declaresTasks } from "../modern/requestMeta.ts"
import type { AskableClient } from "./clientHandlers.ts"
import { noTimeout } from "./connecting.ts"

type Json = Record<string, unknown>

/** A received result that the client has not seen. */
const replay: unique symbol = Symbol("replay")

/** The client copies params for later rounds, and the reference to this with them. */
interface Received {
  readonly request: OutgoingRequest
  /** `undefined` once the client has received it. */
  result: Json | undefined
  /** Receives the answers in place of the server. */
  readonly onAnswers?: ((answers: Json) => void) | undefined
  /** The JSON-RPC id of the latest round that was sent. */
  round: RequestId | undefined
  /** The task that the server made of the request after a round, which the client does not know. */
  task: Json | undefined
}

/** Results are typed for the reader, not parsed. */
const unparsed: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "mcp-sessions", validate: (value) => ({ value }) }
}

/** A result of a tool that the client accepts, where it does not matter. */
const done = { resultType: "complete", content: [] }

const receivedIn = (message: JSONRPCMessage): Received | undefined => {
  const params = "method" in message && "id" in message ? message.params : undefined
  return (params as { readonly [replay]?: Received } | undefined)?.[replay]
}

const objectOf = (value: unknown): Json => (Predicate.isObject(value) ? value as Json : {})

export interface InputRoundsOptions {
  readonly client: AskableClient
  readonly transport: Transport
  readonly reasonOf: (error: unknown, method: string) => RequestReason
}

/** The rounds of one connection. */
export class InputRounds {
  readonly #options: InputRoundsOptions
  readonly #rounds = new Map<RequestId, Received>()
  #isPrepared = false

  constructor(options: InputRoundsOptions) {
    this.#options = options
  }

  /** Answers a result that asks for input, and follows the request to its end. */
  readonly fulfil: FulfilInput = ({ onEnd, params, request, result }) => {
    const abort = new AbortController()
    const received: Received = { request, result, round: undefined, task: undefined }
    this.#run(received, params, abort.signal).then(
      (value) => onEnd(Exit.succeed(received.task ?? value)),
      (error: unknown) => onEnd(Exit.fail(this.#reasonOf(error, request.method)))
    )
    return () => abort.abort()
  }

  /** Answers what a task asks. */
  readonly answer: NonNullable<Connection["answerInput"]> = ({ call, inputRequests }) =>
    Effect.callback((resume) => {
      const method = "tools/call"
      const params = { name: call?.tool ?? "" }
      const abort = new AbortController()
      const request = { method, params, onProgress: undefined, id: call?.id, isWritten: true, settle: () => {} }
      const received: Received = {
        request,
        result: { resultType: "input_required", inputRequests },
        onAnswers: (answers) => resume(Effect.succeed(answers)),
        round: undefined,
        task: undefined
      }
      this.#run(received, params, abort.signal).catch((error: unknown) =>
        resume(Effect.fail(this.#reasonOf(error, method)))
      )
      return Effect.sync(() => abort.abort())
    })

  /** The server has answered: with a question that this client cannot. */
  #reasonOf(error: unknown, method: string): RequestReason {
    const reason = this.#options.reasonOf(error, method)
    return reason._tag === "Unsupported"
      ? new InvalidResult({ method, description: reason.description, cause: error })
      : reason
  }

  #run(received: Received, params: Json, signal: AbortSignal): Promise<unknown> {
    if (!this.#isPrepared) this.#prepare()
    const { method, onProgress } = received.request
    return this.#options.client.request({ method, params: { ...params, [replay]: received } }, unparsed, {
      signal,
      timeout: noTimeout,
      ...(onProgress === undefined ? {} : { onprogress: onProgress })
    }).finally(() => {
      if (received.round !== undefined) this.#rounds.delete(received.round)
    })
  }

  /** Puts this between the client and the transport. */
  #prepare(): void {
    this.#isPrepared = true
    const { transport } = this.#options
    const send = transport.send.bind(transport)
    const receive = transport.onmessage
    transport.send = (message, options) => {
      const received = receivedIn(message)
      const answer = received === undefined ? undefined : this.#localAnswer(received, message)
      if (answer === undefined || !("id" in message) || message.id === undefined) return send(message, options)
      receive?.({ jsonrpc: "2.0", id: message.id, result: answer })
      return Promise.resolve()
    }
    transport.onmessage = (message, extra) => receive?.(this.#withoutTask(message), extra)
  }

  /** The result that the transport gives a request of the client by itself; `undefined` for a round that the server answers. */
  #localAnswer(received: Received, message: JSONRPCMessage): Json | undefined {
    const { onAnswers, result } = received
    if (result !== undefined) {
      received.result = undefined
      this.#options.client.asking = received.request
      return result
    }
    if (onAnswers !== undefined) {
      onAnswers(objectOf("params" in message ? message.params?.inputResponses : undefined))
      return done
    }
    if (received.round !== undefined) this.#rounds.delete(received.round)
    received.round = "id" in message ? message.id : undefined
    if (received.round !== undefined) this.#rounds.set(received.round, received)
    return undefined
  }

  /** Keeps a task that is the result of a round from the client. */
  #withoutTask(message: JSONRPCMessage): JSONRPCMessage {
    if (!("result" in message) || message.result.resultType !== "task") return message
    const received = this.#rounds.get(message.id)
    if (received === undefined || !declaresTasks(received.request.params)) return message
    received.task = message.result
    return { ...message, result: done }
  }
}
