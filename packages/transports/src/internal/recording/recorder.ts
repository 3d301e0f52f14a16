/**
 * Records the events of connections, without changing them.
 */
import type { Handlers, Origin, RequestRefused } from "@mcp-sessions/core/ClientHandlers"
import { type Connection, fromRequest } from "@mcp-sessions/core/Connection"
import type { ConnectReason, RequestReason } from "@mcp-sessions/core/SessionError"
import { Peer, type Transport } from "@mcp-sessions/core/Transport"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { answerInputCall, asJson, type Event, type HandlerName, refusalOf } from "./recording.ts"
import { withoutTrace } from "./withoutTrace.ts"

export type Write = (event: Event) => void

const jsonParams = (params: Record<string, unknown> | undefined) => {
  const json = asJson(withoutTrace(params)) as Record<string, unknown> | null
  return json === null ? {} : { params: json }
}

/** Writes the events of one connection. */
class ConnectionRecorder {
  readonly #connection: number
  readonly #write: Write
  #ids = 0

  constructor(connection: number, write: Write) {
    this.#connection = connection
    this.#write = write
  }

  /** Records a call and its outcome. `show` returns the part of the result to record. */
  call<A, E extends ConnectReason | RequestReason, R>(
    { method, params }: { readonly method: string; readonly params?: Record<string, unknown> | undefined },
    call: (id: number) => Effect.Effect<A, E, R>,
    show: (result: A) => unknown
  ): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const at = { connection: this.#connection, id: ++this.#ids }
      this.#write({ event: "call", ...at, method, ...jsonParams(params) })
      return Effect.onExit(call(at.id), (exit) =>
        Effect.sync(() => {
          if (Exit.isSuccess(exit)) return this.#write({ event: "result", ...at, result: asJson(show(exit.value)) })
          const failure = Cause.findError(exit.cause)
          return this.#write(
            Result.isSuccess(failure)
              ? { event: "failure", ...at, reason: failure.success }
              : { event: "cancelled", ...at }
          )
        }))
    })
  }

  /** Records a request of the server to a handler, and the response of the handler. */
  #asked<A>(options: {
    readonly handler: typeof HandlerName.Type
    readonly params: unknown
    readonly origin: Origin
    readonly answer: Effect.Effect<A, RequestRefused>
  }): Effect.Effect<A, RequestRefused> {
    return Effect.suspend(() => {
      const { answer, handler, origin: { call }, params } = options
      const at = { connection: this.#connection, id: ++this.#ids }
      this.#write({ event: "ask", ...at, handler, params: asJson(params), ...(call === undefined ? {} : { call }) })
      const note = (answer: unknown) =>
        Effect.sync(() => this.#write({ event: "answer", ...at, answer: asJson(answer) }))
      return answer.pipe(
        Effect.tap(note),
        Effect.tapError((refusal) => note(refusalOf(refusal)))
      )
    })
  }

  handlers({ elicitation, roots, sampling, ...rest }: Handlers): Handlers {
    const recorded = <P, A>(
      handler: typeof HandlerName.Type,
      handle: ((params: P, origin: Origin) => Effect.Effect<A, RequestRefused>) | undefined
    ) =>
      handle === undefined ?
        undefined :
        (params: P, origin: Origin) => this.#asked({ handler, params, origin, answer: handle(params, origin) })
    return {
      ...rest,
      sampling: recorded("sampling", sampling),
      elicitation: elicitation === undefined ? undefined : {
        form: recorded("form", elicitation.form),
        url: recorded("url", elicitation.url)
      },
      roots: roots === undefined
        ? undefined
        : (origin) => this.#asked({ handler: "roots", params: null, origin, answer: roots(origin) })
    }
  }

  notification({ method, params }: Parameters<Parameters<Connection["onNotification"]>[0]>[0]): void {
    this.#write({ event: "notification", connection: this.#connection, method, ...jsonParams(params) })
  }
}

/** Connects, and records the events of the connection. */
export const connect = Effect.fnUntraced(function*(options: {
  readonly transport: Transport["Service"]
  readonly server: string
  /** The number of the connection. */
  readonly connection: number
  readonly write: Write
}): Effect.fn.Return<Connection, ConnectReason, Scope.Scope> {
  const { connection: number, server, transport, write } = options
  const recorder = new ConnectionRecorder(number, write)
  const peer = yield* Peer
  const inner = yield* transport.connect.pipe(
    Effect.provideService(Peer, { ...peer, handlers: recorder.handlers(peer.handlers) }),
    Effect.tapError((reason) =>
      Effect.sync(() => write({ event: "connect-failure", connection: number, server, reason }))
    )
  )
  write({ event: "connect", connection: number, server, kind: inner.kind })
  yield* inner.closed.pipe(
    Effect.tap((reason) => Effect.sync(() => write({ event: "closed", connection: number, reason }))),
    Effect.forkScoped({ startImmediately: true })
  )
  const answerInput = inner.answerInput?.bind(inner)
  return yield* fromRequest({
    get kind() {
      return inner.kind
    },
    // The id of a process has no meaning after the recording.
    initialize: recorder.call(
      { method: "initialize" },
      () => inner.initialize,
      (info) => ({ ...info, pid: undefined })
    ),
    request: (request) =>
      recorder.call(
        request,
        (id) => {
          const { onProgress } = request
          return inner.request(
            onProgress === undefined ? request : {
              ...request,
              onProgress: (progress) => {
                write({ event: "progress", connection: number, id, progress: asJson(progress) })
                onProgress(progress)
              }
            }
          )
        },
        (result) => result
      ),
    onNotification: (listener) =>
      inner.onNotification((notification) => {
        recorder.notification(notification)
        listener(notification)
      }),
    listen: (filter) =>
      recorder.call(
        { method: "subscriptions/listen", params: { ...filter } },
        (id) =>
          Effect.tap(inner.listen(filter), ({ ended }) =>
            ended.pipe(
              Effect.andThen(Effect.sync(() => write({ event: "ended", connection: number, id }))),
              Effect.forkScoped({ startImmediately: true })
            )),
        ({ resources }) => ({ resources })
      ),
    setLogLevel: (level) =>
      recorder.call({ method: "logging/setLevel", params: { level } }, () => inner.setLogLevel(level), () => null),
    answerInput: answerInput === undefined ? undefined : (input) =>
      recorder.call(
        { method: answerInputCall, params: { inputRequests: input.inputRequests } },
        () => answerInput(input),
        (answers) => answers
      ),
    closed: inner.closed,
    refusal: () => inner.refusal?.(),
    stderrTail: () => inner.stderrTail(),
    sessionId: () => inner.sessionId?.(),
    warnings: () => inner.warnings()
  })
})
