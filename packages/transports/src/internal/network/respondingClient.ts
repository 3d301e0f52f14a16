/**
 * An HTTP client that answers each request by an effect.
 */
import { TransportFailed } from "@mcp-sessions/core/SessionError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type {
  HttpClient,
  HttpController,
  HttpFailure,
  HttpHandler,
  HttpHead,
  HttpOptions,
  HttpRequest,
  HttpResponse
} from "../../HttpClient.ts"
import { guard } from "./addressPolicy.ts"
import { makeRuntime } from "./programFibers.ts"

type Respond = (request: HttpRequest, options: HttpOptions) => Effect.Effect<HttpResponse, HttpFailure, Scope.Scope>

const encoder = new TextEncoder()

const inLowerCase = (headers: HttpHead["headers"]): HttpHead["headers"] =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

const errorOf = (cause: Cause.Cause<HttpFailure>): Error => {
  const failure = Cause.findErrorOption(cause)
  if (failure._tag === "Some") return failure.value
  const description = "the HTTP client of the program failed"
  return new TransportFailed({ description, delivery: "Unknown", cause: Cause.squash(cause) })
}

/** A request in progress. */
class Responding implements HttpController {
  readonly #handler: HttpHandler
  readonly #isFlowing = Latch.makeUnsafe(true)
  #fiber: Fiber.Fiber<void, HttpFailure> | undefined
  #isAborted = false

  constructor(handler: HttpHandler) {
    this.#handler = handler
  }

  abort(): void {
    this.#isAborted = true
    this.#fiber?.interruptUnsafe()
  }

  pause(): void {
    this.#isFlowing.closeUnsafe()
  }

  resume(): void {
    this.#isFlowing.openUnsafe()
  }

  start(
    respond: Effect.Effect<HttpResponse, HttpFailure, Scope.Scope>,
    run: (effect: Effect.Effect<void, HttpFailure>) => Fiber.Fiber<void, HttpFailure>
  ): void {
    // Handlers expect nothing before `send` has returned.
    queueMicrotask(() => {
      if (!this.#isAborted) this.#run(respond, run)
    })
  }

  #run(...[respond, run]: Parameters<Responding["start"]>): void {
    this.#handler.onRequestStart(this)
    if (this.#isAborted) return
    const fiber = this.#fiber = run(Effect.scoped(Effect.flatMap(respond, (response) => this.#pass(response))))
    if (this.#isAborted) fiber.interruptUnsafe()
    fiber.addObserver((exit) => {
      if (this.#isAborted) return
      if (Exit.isSuccess(exit)) this.#handler.onResponseEnd(this)
      else this.#handler.onResponseError(this, errorOf(exit.cause))
    })
  }

  #pass({ body, headers, status }: HttpResponse): Effect.Effect<void, HttpFailure> {
    if (this.#isAborted) return Effect.interrupt
    this.#handler.onResponseStart(this, status, inLowerCase(headers))
    return typeof body === "string"
      ? this.#passChunk(encoder.encode(body))
      : Stream.runForEach(body, (chunk) => this.#passChunk(chunk))
  }

  #passChunk(chunk: Uint8Array): Effect.Effect<void> {
    return Effect.andThen(
      this.#isFlowing.await,
      Effect.suspend(() => {
        if (this.#isAborted) return Effect.interrupt
        if (chunk.length > 0) this.#handler.onResponseData(this, chunk)
        return Effect.void
      })
    )
  }
}

export const make = (respond: Respond): HttpClient => ({
  open: (options) =>
    Effect.map(makeRuntime<void, HttpFailure>(), (run) => ({
      prepare: guard(options),
      send: (request, handler) => {
        const responding = new Responding(handler)
        responding.start(Effect.suspend(() => respond(request, options)), run)
        return () => responding.abort()
      }
    }))
})
