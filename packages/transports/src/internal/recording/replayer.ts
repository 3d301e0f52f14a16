/**
 * Replays a connection from its recording.
 *
 * The events of the server follow in the recorded order, each after the calls that preceded it. A call is recognized by its method and
 * params, so concurrent calls may arrive in another order. The outcome of a call follows at once, without the recorded delay.
 */
import type { Call as AskingCall, Handlers, Origin, RequestRefused } from "@mcp-sessions/core/ClientHandlers"
import { type Connection, type ConnectionInfo, fromRequest } from "@mcp-sessions/core/Connection"
import type { Progress } from "@mcp-sessions/core/Mcp"
import type { WireNotification } from "@mcp-sessions/core/Notification"
import {
  type CloseReason,
  type ConnectReason,
  type RequestReason,
  TransportClosed
} from "@mcp-sessions/core/SessionError"
import { Peer } from "@mcp-sessions/core/Transport"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { setImmediate, setTimeout } from "node:timers/promises"
import { asConnectReason, asRequestReason } from "../reasons.ts"
import { mark } from "../redactor.ts"
import { answerInputCall, asJson, type Event, type HandlerName, refusalOf } from "./recording.ts"
import { withoutTrace } from "./withoutTrace.ts"

/** The program deviated from the recording. A defect, since the program or the recording has to change. */
export class ReplayMismatch extends Data.TaggedError("ReplayMismatch")<{
  readonly server: string
  readonly connection: number
  /** The deviation of the program. */
  readonly actual: string
  /** The recorded calls that were possible instead. */
  readonly expected: ReadonlyArray<string>
}> {
  override get message(): string {
    const expected = this.expected.length === 0
      ? "nothing more is recorded there"
      : `expected one of:\n${this.expected.map((call) => `  ${call}`).join("\n")}`
    return `replay of connection ${this.connection} to ${this.server}: ${this.actual} is not in the recording; ${expected}`
  }
}

/** The number of possible calls that the message names. */
const mostExpected = 5

/** How many turns of the event loop a program has to react to a result before the next unsolicited event. */
const turns = 5

/** How long a recorded call is awaited while another waits for its response, in milliseconds of the real clock. */
const callTimeout = 500

const matchesText = (recorded: string, actual: string): boolean => {
  const [first = "", ...rest] = recorded.split(mark)
  if (rest.length === 0) return recorded === actual
  if (!actual.startsWith(first)) return false
  let at = first.length
  for (const part of rest.slice(0, -1)) {
    const found = actual.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  const last = rest.at(-1) ?? ""
  return actual.length >= at + last.length && actual.endsWith(last)
}

/** Whether a value equals the recorded one. A redacted secret equals any text. */
const matches = (recorded: unknown, actual: unknown): boolean => {
  if (typeof recorded === "string" && typeof actual === "string") return matchesText(recorded, actual)
  if (Array.isArray(recorded)) {
    return Array.isArray(actual) && actual.length === recorded.length &&
      recorded.every((item, index) => matches(item, actual[index]))
  }
  if (!Predicate.isObject(recorded) || !Predicate.isObject(actual)) return recorded === actual
  const theirs = Object.entries(recorded)
  const ours = actual as Record<string, unknown>
  return theirs.length === Object.keys(ours).length &&
    theirs.every(([key, value]) => Object.hasOwn(ours, key) && matches(value, ours[key]))
}

const shown = (method: string, params: unknown): string =>
  params === undefined ? method : `${method} ${JSON.stringify(params)}`

/** A recorded call, and its replay. */
interface Call {
  readonly method: string
  readonly params: unknown
  /** The position of its result or failure in the recording; -1 if there is neither. */
  readonly answeredAt: number
  readonly outcome: Deferred.Deferred<unknown, ConnectReason | RequestReason>
  readonly ended: Deferred.Deferred<void>
  isMade: boolean
  onProgress: ((progress: Progress) => void) | undefined
  /** Recorded events of its outcome that precede its replay. */
  readonly early: Array<Event>
}

class Playback {
  readonly closed = Deferred.makeUnsafe<CloseReason>()
  listener: ((notification: WireNotification) => void) | undefined
  readonly #calls = new Map<number, Call>()
  readonly #answers = new Map<number, unknown>()
  readonly #asked = new Map<number, Fiber.Fiber<void>>()
  /** Calls before this position of the recording are not awaited. */
  #skipped = -1
  readonly #made: Queue.Queue<void>
  readonly #events: ReadonlyArray<Event>
  readonly #where: { readonly server: string; readonly connection: number }
  readonly #peer: typeof Peer.Service

  constructor(options: {
    readonly events: ReadonlyArray<Event>
    readonly where: { readonly server: string; readonly connection: number }
    readonly peer: typeof Peer.Service
    readonly made: Queue.Queue<void>
  }) {
    this.#events = options.events
    this.#where = options.where
    this.#peer = options.peer
    this.#made = options.made
    for (const event of options.events) {
      if (event.event === "answer") this.#answers.set(event.id, event.answer)
      if (event.event !== "call") continue
      const { id, method, params } = event
      const outcome = Deferred.makeUnsafe<unknown, ConnectReason | RequestReason>()
      const ended = Deferred.makeUnsafe<void>()
      const answeredAt = options.events.findIndex((event) =>
        (event.event === "result" || event.event === "failure") && event.id === id
      )
      this.#calls.set(id, {
        method,
        params,
        answeredAt,
        outcome,
        ended,
        isMade: false,
        onProgress: undefined,
        early: []
      })
    }
  }

  /** Replays a call, which has to be recorded. */
  call(method: string, given: unknown, onProgress?: (progress: Progress) => void): Effect.Effect<Call> {
    return Effect.suspend(() => {
      const untraced = withoutTrace(given)
      const params = untraced === undefined ? undefined : asJson(untraced)
      const left = [...this.#calls.values()].filter(({ isMade }) => !isMade)
      const call = left.find((call) => call.method === method && matches(call.params, params))
      if (call === undefined) {
        return Effect.die(
          new ReplayMismatch({
            ...this.#where,
            actual: shown(method, params),
            expected: left.slice(0, mostExpected).map(({ method, params }) => shown(method, params))
          })
        )
      }
      call.isMade = true
      call.onProgress = onProgress
      for (const event of call.early) this.#deliver(call, event)
      Queue.offerUnsafe(this.#made, undefined)
      return Effect.succeed(call)
    })
  }

  /** Replays the events of the server. */
  readonly play: Effect.Effect<void, never, Scope.Scope> = Effect.gen({ self: this }, function*() {
    for (const [position, event] of this.#events.entries()) {
      switch (event.event) {
        case "call":
          yield* this.#awaitCall(event.id, position)
          break
        case "notification":
          yield* settle
          this.listener?.({ method: event.method, params: event.params })
          break
        case "ask":
          // A handler may be slow, and may call the server itself.
          this.#asked.set(event.id, yield* Effect.forkScoped(this.#ask(event), { startImmediately: true }))
          break
        case "answer": {
          const asked = this.#asked.get(event.id)
          if (asked !== undefined) yield* Fiber.join(asked)
          break
        }
        case "closed":
          yield* settle
          Deferred.doneUnsafe(this.closed, Effect.succeed(event.reason))
          break
        case "progress":
        case "result":
        case "failure":
        case "ended": {
          if (event.event === "ended") yield* settle
          const call = this.#calls.get(event.id)
          if (call?.isMade === true) this.#deliver(call, event)
          else call?.early.push(event)
        }
      }
    }
  }).pipe(
    // A defect of the replay ends every call.
    Effect.catchDefect((defect) =>
      Effect.sync(() => {
        for (const { outcome } of this.#calls.values()) Deferred.doneUnsafe(outcome, Effect.die(defect))
      })
    )
  )

  /**
   * Waits for a recorded call. The program may order its calls differently, or omit this one: if it waits for a response that follows
   * this call in the recording, the replay continues without this call.
   */
  #awaitCall(id: number, position: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#calls.get(id)?.isMade === true || position < this.#skipped) return Effect.void
      const awaited = [...this.#calls.values()].filter(({ answeredAt, isMade }) => isMade && answeredAt > position)
      const next = Effect.as(Queue.take(this.#made), true)
      return Effect.flatMap(
        awaited.length > 0 ? Effect.raceFirst(next, Effect.as(callTimedOut, false)) : next,
        (isAnother) => {
          if (isAnother) return this.#awaitCall(id, position)
          this.#skipped = Math.min(...awaited.map(({ answeredAt }) => answeredAt))
          return Effect.void
        }
      )
    })
  }

  /** Ends the connection, even if the recording continues. */
  end(): void {
    const gone = new TransportClosed({ delivery: "Unknown" })
    for (const { outcome } of this.#calls.values()) Deferred.doneUnsafe(outcome, Effect.fail(gone))
    Deferred.doneUnsafe(this.closed, Effect.succeed(gone))
  }

  #deliver(call: Call, event: Event): void {
    if (event.event === "progress") call.onProgress?.(event.progress as Progress)
    if (event.event === "result") Deferred.doneUnsafe(call.outcome, Effect.succeed(event.result))
    if (event.event === "failure") Deferred.doneUnsafe(call.outcome, Effect.fail(event.reason))
    if (event.event === "ended") Deferred.doneUnsafe(call.ended, Effect.void)
  }

  /** Repeats a request to a handler, and compares its response with the recorded one. */
  #ask(
    { call, handler, id, params }: Extract<Event, { readonly event: "ask" }>
  ): Effect.Effect<void, never, Scope.Scope> {
    const handle = answerOf({ peer: this.#peer, handler, params, call })
    // The recording has no response to compare with.
    if (!this.#answers.has(id)) return Effect.asVoid(Effect.forkScoped(handle))
    return Effect.flatMap(handle, (answer) => {
      const recorded = this.#answers.get(id)
      return matches(recorded, asJson(answer)) ? Effect.void : Effect.die(
        new ReplayMismatch({
          ...this.#where,
          actual: `the answer of the handler, ${shown(handler, answer)},`,
          expected: [shown(handler, recorded)]
        })
      )
    })
  }
}

/** Succeeds after the time within which a program that follows the recording has made its next call. */
const callTimedOut = Effect.promise(() => setTimeout(callTimeout))

const settle = Effect.promise(async () => {
  for (let turn = 0; turn < turns; turn++) await setImmediate()
})

/** Runs the handler that the server asked. */
const answerOf = (options: {
  readonly peer: typeof Peer.Service
  readonly handler: typeof HandlerName.Type
  readonly params: unknown
  readonly call: AskingCall | undefined
}): Effect.Effect<unknown> => {
  const { call, handler, params, peer: { handlers, owner, server } } = options
  const origin: Origin = { owner, server, call }
  return (handle({ handlers, handler, params, origin }) ?? Effect.succeed({ refused: "there is no such handler" }))
    .pipe(
      Effect.catch((refusal) => Effect.succeed(refusalOf(refusal)))
    )
}

const handle = ({ handler, handlers: { elicitation, roots, sampling }, origin, params }: {
  readonly handlers: Handlers
  readonly handler: typeof HandlerName.Type
  readonly params: unknown
  readonly origin: Origin
}): Effect.Effect<unknown, RequestRefused> | undefined => {
  switch (handler) {
    case "sampling":
      return sampling?.(params as Parameters<typeof sampling>[0], origin)
    case "form":
      return elicitation?.form?.(params as Parameters<typeof elicitation.form>[0], origin)
    case "url":
      return elicitation?.url?.(params as Parameters<typeof elicitation.url>[0], origin)
    case "roots":
      return roots?.(origin)
  }
}

type Told = Omit<ConnectionInfo, "instructions" | "implementation"> & Partial<ConnectionInfo>

const untold = { instructions: undefined, implementation: undefined }

/** Replays a recorded connection. */
export const connect = Effect.fnUntraced(function*(options: {
  readonly kind: Connection["kind"]
  readonly server: string
  readonly connection: number
  readonly events: ReadonlyArray<Event>
}): Effect.fn.Return<Connection, ConnectReason, Scope.Scope> {
  const { connection, events, kind, server } = options
  const peer = yield* Peer
  const made = yield* Queue.sliding<void>(1)
  const playback = new Playback({ events, where: { server, connection }, peer, made })
  yield* Effect.forkScoped(playback.play, { startImmediately: true })
  yield* Effect.addFinalizer(() => Effect.sync(() => playback.end()))
  const outcome = (call: Call) =>
    Effect.mapError(Deferred.await(call.outcome), (reason) => asRequestReason({ reason, method: call.method }))
  return yield* fromRequest({
    kind,
    initialize: Effect.flatMap(playback.call("initialize", undefined), (call) => Deferred.await(call.outcome)).pipe(
      Effect.mapError(asConnectReason),
      // JSON omits fields that are undefined.
      Effect.map((info) => ({ ...untold, ...(info as Told), pid: undefined }))
    ),
    request: ({ method, onProgress, params }) => Effect.flatMap(playback.call(method, params, onProgress), outcome),
    onNotification: (listener) => {
      playback.listener = listener
    },
    listen: (filter) =>
      Effect.flatMap(playback.call("subscriptions/listen", filter), (call) =>
        Effect.map(outcome(call), (result) => ({
          ...(result as { readonly resources: ReadonlyArray<string> }),
          ended: Deferred.await(call.ended)
        }))),
    setLogLevel: (level) => Effect.asVoid(Effect.flatMap(playback.call("logging/setLevel", { level }), outcome)),
    answerInput: ({ inputRequests }) =>
      Effect.flatMap(
        playback.call(answerInputCall, { inputRequests }),
        (call) => Effect.map(outcome(call), (answers) => answers as Readonly<Record<string, unknown>>)
      ),
    closed: Deferred.await(playback.closed),
    stderrTail: () => undefined,
    warnings: () => []
  })
})
