/**
 * Stdio endpoint: one client of any revision, on the standard streams of this process. Each request says whether it is of 2026-07-28.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 */
import type { JSONRPCMessage, JSONRPCRequest } from "@modelcontextprotocol/client"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Quotas, RequestPlace } from "../admission/quotas.ts"
import { isRequest } from "../call/dispatcher.ts"
import type { Reply } from "../client/clientCall.ts"
import type { ClientSession } from "../client/clientSession.ts"
import { guarded, settled } from "../http/defects.ts"
import { revisionOf } from "../modern/modernMessage.ts"
import { ModernStdio, type ModernStdioOptions } from "../modern/modernStdio.ts"
import { messagesOf } from "../protocol/postBody.ts"
import {
  codes,
  encodeError,
  encodeResult,
  gatewayStopping,
  RpcError,
  tooManyRequests,
  tooManySessions
} from "../protocol/rpc.ts"
import { textOf } from "../streams/outgoing.ts"
import { badInitialize, initialized, initializeParamsOf } from "./handshake.ts"
import { StandardStreams, type StreamsEnd } from "./standardStreams.ts"

/** The principal of the client. */
const principal = "stdio"

const notInitialized = new RpcError({ code: codes.invalidRequest, message: "the client has not initialized" })

const isInitialized = new RpcError({ code: codes.invalidRequest, message: "the client has initialized already" })

export interface StdioOptions extends Omit<ModernStdioOptions, "principal" | "write"> {
  readonly quotas: Quotas
  /** The longest line, in characters. A longer one ends the endpoint. */
  readonly maxLineLength: number
  /** Waits for the requests in flight. */
  readonly idle: Effect.Effect<void>
  /** Closes the sessions. */
  readonly close: Effect.Effect<void>
}

/** What is logged about an end. */
const logEnd = (end: StreamsEnd, maxLineLength: number): Effect.Effect<void> => {
  switch (end) {
    case "InputEnded":
      return Effect.void
    case "OutputClosed":
      return Effect.logInfo("stopping: the client has closed stdout")
    case "InputFailed":
      return Effect.logError("stopping: stdin cannot be read")
    case "OutputUnread":
      return Effect.logError("stopping: the client does not read stdout")
    case "LineTooLong":
      return Effect.logError(`stopping: a line on stdin is longer than ${maxLineLength} characters`)
  }
}

class StdioEndpoint {
  readonly #options: StdioOptions
  readonly #modern: ModernStdio
  readonly #write: (message: string) => void
  #client: ClientSession | undefined
  #isDraining = false

  constructor(options: StdioOptions, write: (message: string) => void) {
    this.#options = options
    this.#write = write
    this.#modern = new ModernStdio({ ...options, principal, write })
  }

  /** Takes a line of the client. */
  receive(line: string): void {
    if (line.trim() === "") return
    const messages = messagesOf(line)
    // The id of the request is not known.
    if (messages instanceof RpcError) return this.#write(encodeError(null, messages))
    for (const message of messages) {
      if (isRequest(message)) this.#begin(message, line.length)
      else this.#take(message)
    }
  }

  /** Ends the subscriptions, and refuses new requests. What belongs to earlier ones is still taken. */
  drain(): void {
    this.#isDraining = true
    this.#modern.close()
  }

  #take(message: JSONRPCMessage): void {
    const { dispatcher, fork } = this.#options
    guarded({ fork, doing: "take a message", onFailure: () => {} }, () => {
      this.#modern.take(message)
      if (this.#client !== undefined) dispatcher.take(this.#client, message)
    })
  }

  #begin(request: JSONRPCRequest, size: number): void {
    const { fork, quotas } = this.#options
    const fail = (error: RpcError) => this.#write(encodeError(request.id, error))
    if (this.#isDraining) return fail(gatewayStopping)
    const place = quotas.begin(principal)
    if (place === undefined) return fail(tooManyRequests)
    const onFailure = (error: RpcError) => {
      place.end()
      fail(error)
    }
    if (!place.takeBytes(size)) return onFailure(tooManyRequests)
    guarded({ fork, doing: "handle a request", onFailure }, () => this.#handle(request, place))
  }

  #handle(request: JSONRPCRequest, place: RequestPlace): void {
    const { id, method } = request
    if (revisionOf(request) !== undefined) return this.#modern.handle(request, place)
    const reply: Reply = {
      related: (message) => {
        this.#write(textOf(message))
        return true
      },
      settle: (message) => {
        place.end()
        if (message !== undefined) this.#write(message)
      }
    }
    if (method === "initialize") return this.#initialize(request, reply)
    if (this.#client !== undefined) return this.#options.dispatcher.run(this.#client, request, reply)
    if (method === "ping") return reply.settle(encodeResult(id, {}))
    // A client that supports a later revision requests it first, and then sends `initialize`.
    const error = method === "server/discover"
      ? new RpcError({ code: codes.methodNotFound, message: `unknown method ${method}` })
      : notInitialized
    reply.settle(encodeError(id, error))
  }

  #initialize({ id, params }: JSONRPCRequest, reply: Reply): void {
    const { clients, fork } = this.#options
    const fail = (error: RpcError) => reply.settle(encodeError(id, error))
    const initialize = initializeParamsOf(params)
    if (initialize === undefined) return fail(badInitialize)
    if (this.#client !== undefined) return fail(isInitialized)
    settled({ fork, doing: "open a session", onFailure: fail }, {
      effect: clients.make({ principal, ...initialize }),
      onValue: (client) => {
        if (client === undefined) return fail(tooManySessions)
        this.#client = client
        client.output.channel = this.#write
        reply.settle(
          encodeResult(id, initialized({ ...this.#options, protocolVersion: initialize.protocolVersion }))
        )
      }
    })
  }
}

/**
 * Serves the client until it sends no more. The end of the scope waits for the requests in flight, unless the client can receive nothing more,
 * and reads what belongs to them.
 */
export const serveStdio = (options: StdioOptions): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { close, idle, maxLineLength } = options
    const ended = yield* Deferred.make<StreamsEnd>()
    const gone = yield* Deferred.make<void>()
    const { endpoint } = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const streams = new StandardStreams({
          maxLineLength,
          onLine: (line) => endpoint.receive(line),
          onEnd: (end) => Deferred.doneUnsafe(ended, Effect.succeed(end)),
          onGone: () => Deferred.doneUnsafe(gone, Effect.void)
        })
        const endpoint = new StdioEndpoint(options, streams.write)
        return { endpoint, streams }
      }),
      ({ streams }) => Effect.sync(() => streams.close())
    )
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        endpoint.drain()
        if (!(yield* Deferred.isDone(gone))) yield* Effect.raceFirst(Deferred.await(gone), idle)
        yield* close
      })
    )
    yield* logEnd(yield* Deferred.await(ended), maxLineLength)
  })
