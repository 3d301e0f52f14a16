/**
 * Wraps an HTTP client by a function that sees each request before it is sent, and its response.
 */
import { TransportFailed } from "@mcp-sessions/core/SessionError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import type {
  HttpClient,
  HttpConnections,
  HttpController,
  HttpFailure,
  HttpHandler,
  HttpHead,
  HttpRequest,
  Interception
} from "../../HttpClient.ts"
import { guard } from "./addressPolicy.ts"
import { ForwardingHandler } from "./forwardingHandler.ts"
import { makeRuntime } from "./programFibers.ts"

/** The controller of a request that was not sent: there is nothing to end. */
const idle: HttpController = { abort: () => {}, pause: () => {}, resume: () => {} }

/** Passes the response of a request on, and reports it to the interception too. */
class InterceptedHandler extends ForwardingHandler {
  readonly #interception: Interception
  readonly #onDefect: (defect: unknown) => void
  #controller: HttpController | undefined
  #giveUp: () => void = constVoid
  #isOver = false

  constructor(options: {
    readonly handler: HttpHandler
    readonly interception: Interception
    readonly onDefect: (defect: unknown) => void
  }) {
    super(options.handler)
    this.#interception = options.interception
    this.#onDefect = options.onDefect
  }

  send(connections: HttpConnections, request: HttpRequest): void {
    this.#giveUp = connections.send(this.#interception.request ?? request, this)
  }

  giveUp(): void {
    this.#end(new Error("the request was given up"))
    this.#giveUp()
  }

  override onRequestStart(controller: HttpController): void {
    const own = this.#controller = {
      // An HTTP client need not report a request that was aborted.
      abort: (reason: Error) => {
        this.#end(reason)
        controller.abort(reason)
      },
      pause: () => controller.pause(),
      resume: () => controller.resume()
    }
    super.onRequestStart(own)
  }

  override onResponseStart(controller: HttpController, status: number, headers: HttpHead["headers"]): void {
    const { onResponse } = this.#interception
    if (onResponse !== undefined) this.#call(() => onResponse({ status, headers }))
    super.onResponseStart(this.#controller ?? controller, status, headers)
  }

  override onResponseData(controller: HttpController, chunk: Uint8Array): void {
    super.onResponseData(this.#controller ?? controller, chunk)
  }

  override onResponseEnd(controller: HttpController): void {
    this.#end(undefined)
    super.onResponseEnd(this.#controller ?? controller)
  }

  override onResponseError(controller: HttpController, error: Error): void {
    this.#end(error)
    super.onResponseError(this.#controller ?? controller, error)
  }

  #end(error: Error | undefined): void {
    const { onEnd } = this.#interception
    if (this.#isOver || onEnd === undefined) return
    this.#isOver = true
    this.#call(() => onEnd(error))
  }

  #call(f: () => void): void {
    try {
      f()
    } catch (defect) {
      this.#onDefect(defect)
    }
  }
}

const failureOf = (cause: Cause.Cause<HttpFailure>): HttpFailure => {
  const failure = Cause.findErrorOption(cause)
  return failure._tag === "Some" ? failure.value : new TransportFailed({
    description: "the interceptor of HTTP requests failed",
    delivery: "NotSent",
    cause: Cause.squash(cause)
  })
}

export const intercept = (
  ...[inner, f]: readonly [HttpClient, (request: HttpRequest) => Effect.Effect<Interception, HttpFailure>]
): HttpClient => ({
  open: (options) =>
    Effect.gen(function*() {
      const connections = yield* inner.open(options)
      const run = yield* makeRuntime<Interception, HttpFailure>()
      const log = Effect.runForkWith(yield* Effect.context<never>())
      const onDefect = (defect: unknown) => void log(Effect.logError("an interceptor of HTTP requests failed", defect))
      const send: HttpConnections["send"] = (request, handler) => {
        let isGivenUp = false
        let sent: InterceptedHandler | undefined
        const fiber = run(
          Effect.tap(Effect.suspend(() => f(request)), ({ request: { origin } = request }) =>
            // An address in a URL is dialled without a look-up, in which clients check addresses.
            origin === request.origin ? Effect.void : guard({ addresses: options.addresses, url: origin }))
        )
        fiber.addObserver((exit) => {
          if (Exit.isFailure(exit)) {
            if (!isGivenUp) handler.onResponseError(idle, failureOf(exit.cause))
            return
          }
          sent = new InterceptedHandler({ handler, interception: exit.value, onDefect })
          if (isGivenUp) sent.giveUp()
          else sent.send(connections, request)
        })
        return () => {
          isGivenUp = true
          fiber.interruptUnsafe()
          sent?.giveUp()
        }
      }
      return { prepare: connections.prepare, send }
    })
})
